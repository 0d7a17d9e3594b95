"""Bamboo Town (竹子镇): the closed world that the primer teaches. Only tables here; `draws.py` asks about them.

Every value of a person's column is used once, so that a question can be asked in both directions
(what pet does Lily have? who has a cat?). No word has two meanings anywhere in the primer.
"""

# Chinese name, English name, pet, food, color, job, home. Keys of the tables below.
PEOPLE = (
    ("莉莉", "Lily", "cat", "apple", "red", "teacher", "river"),
    ("小梅", "Mei", "bird", "noodles", "yellow", "singer", "lake"),
    ("小龙", "Leo", "turtle", "rice", "green", "farmer", "hill"),
    ("大卫", "David", "dog", "bread", "blue", "doctor", "school"),
    ("安娜", "Anna", "rabbit", "cake", "white", "painter", "forest"),
    ("杰克", "Jack", "horse", "egg", "black", "driver", "station"),
    ("露西", "Lucy", "fish", "banana", "pink", "writer", "bridge"),
    ("山姆", "Sam", "duck", "soup", "purple", "cook", "park"),
)

# key (also the English singular): Chinese, Chinese measure word, English plural
ANIMALS = {
    "cat": ("猫", "只", "cats"),
    "dog": ("狗", "只", "dogs"),
    "bird": ("鸟", "只", "birds"),
    "fish": ("鱼", "条", "fish"),
    "rabbit": ("兔子", "只", "rabbits"),
    "duck": ("鸭子", "只", "ducks"),
    "horse": ("马", "匹", "horses"),
    "turtle": ("乌龟", "只", "turtles"),
    "panda": ("熊猫", "只", "pandas"),
    "cow": ("奶牛", "头", "cows"),
    "sheep": ("羊", "只", "sheep"),
    "monkey": ("猴子", "只", "monkeys"),
    "tiger": ("老虎", "只", "tigers"),
    "pig": ("猪", "头", "pigs"),
    "mouse": ("老鼠", "只", "mice"),
}
FRUITS = {
    "apple": ("苹果", "个", "apples"),
    "banana": ("香蕉", "根", "bananas"),
    "pear": ("梨", "个", "pears"),
    "peach": ("桃子", "个", "peaches"),
    "orange": ("橙子", "个", "oranges"),
    "lemon": ("柠檬", "个", "lemons"),
    "watermelon": ("西瓜", "个", "watermelons"),
}
VEGETABLES = {
    "carrot": ("胡萝卜", "根", "carrots"),
    "potato": ("土豆", "个", "potatoes"),
    "cabbage": ("白菜", "棵", "cabbages"),
    "pumpkin": ("南瓜", "个", "pumpkins"),
    "onion": ("洋葱", "个", "onions"),
}
VEHICLES = {
    "car": ("汽车", "辆", "cars"),
    "bus": ("公交车", "辆", "buses"),
    "train": ("火车", "列", "trains"),
    "plane": ("飞机", "架", "planes"),
    "boat": ("船", "条", "boats"),
    "bike": ("自行车", "辆", "bikes"),
}
TOYS = {
    "ball": ("球", "个", "balls"),
    "doll": ("娃娃", "个", "dolls"),
    "kite": ("风筝", "只", "kites"),
    "balloon": ("气球", "个", "balloons"),
}
FURNITURE = {
    "table": ("桌子", "张", "tables"),
    "chair": ("椅子", "把", "chairs"),
    "bed": ("床", "张", "beds"),
    "sofa": ("沙发", "张", "sofas"),
}
CLOTHING = {
    "hat": ("帽子", "顶", "hats"),
    "coat": ("外套", "件", "coats"),
    "skirt": ("裙子", "条", "skirts"),
    "shirt": ("衬衫", "件", "shirts"),
}
THINGS = {
    "book": ("书", "本", "books"),
    "key": ("钥匙", "把", "keys"),
    "box": ("盒子", "个", "boxes"),
    "cup": ("杯子", "个", "cups"),
    "house": ("房子", "座", "houses"),
    "tree": ("树", "棵", "trees"),
    "flower": ("花", "朵", "flowers"),
    "pen": ("笔", "支", "pens"),
    "bag": ("书包", "个", "bags"),
    "umbrella": ("雨伞", "把", "umbrellas"),
    "star": ("星星", "颗", "stars"),
    "egg": ("鸡蛋", "个", "eggs"),
}
NOUNS = ANIMALS | FRUITS | VEGETABLES | VEHICLES | TOYS | FURNITURE | CLOTHING | THINGS

# key: Chinese. English has no plural of these.
COLORS = {
    "red": "红色",
    "blue": "蓝色",
    "green": "绿色",
    "yellow": "黄色",
    "white": "白色",
    "black": "黑色",
    "purple": "紫色",
    "pink": "粉色",
}
JOBS = {
    "teacher": "老师",
    "doctor": "医生",
    "cook": "厨师",
    "farmer": "农民",
    "driver": "司机",
    "painter": "画家",
    "singer": "歌手",
    "writer": "作家",
}
# key: Chinese, English as an object of "likes to eat"
FOODS = {
    "apple": ("苹果", "apples"),
    "noodles": ("面条", "noodles"),
    "rice": ("米饭", "rice"),
    "bread": ("面包", "bread"),
    "cake": ("蛋糕", "cake"),
    "egg": ("鸡蛋", "eggs"),
    "banana": ("香蕉", "bananas"),
    "soup": ("汤", "soup"),
}
# key: Chinese, English after "lives"
HOMES = {
    "river": ("河边", "by the river"),
    "lake": ("湖边", "by the lake"),
    "hill": ("山上", "on the hill"),
    "school": ("学校旁边", "next to the school"),
    "forest": ("森林里", "in the forest"),
    "station": ("车站旁边", "next to the station"),
    "bridge": ("桥边", "by the bridge"),
    "park": ("公园旁边", "next to the park"),
}

# animal key: Chinese, English
EATS = {
    "panda": ("竹子", "bamboo"),
    "cow": ("草", "grass"),
    "rabbit": ("胡萝卜", "carrots"),
    "cat": ("鱼", "fish"),
    "dog": ("骨头", "bones"),
    "monkey": ("香蕉", "bananas"),
    "bird": ("虫子", "worms"),
    "mouse": ("大米", "rice"),
    "tiger": ("肉", "meat"),
    "pig": ("土豆", "potatoes"),
}
SOUNDS = {
    "cat": ("喵喵", "meow"),
    "dog": ("汪汪", "woof"),
    "duck": ("嘎嘎", "quack"),
    "cow": ("哞哞", "moo"),
    "sheep": ("咩咩", "baa"),
    "bird": ("叽叽", "tweet"),
}
# Chinese, English with its article, color key
COLORED = (
    ("天空", "the sky", "blue"),
    ("草", "grass", "green"),
    ("雪", "snow", "white"),
    ("太阳", "the sun", "yellow"),
    ("夜晚", "the night", "black"),
    ("血", "blood", "red"),
    ("葡萄", "a grape", "purple"),
)

# Chinese, English; Chinese opposite, English opposite. Each word stands in one pair only.
OPPOSITES = (
    ("大", "big", "小", "small"),
    ("多", "many", "少", "few"),
    ("长", "long", "短", "short"),
    ("快", "fast", "慢", "slow"),
    ("新", "new", "旧", "old"),
    ("冷", "cold", "热", "hot"),
    ("上", "up", "下", "down"),
    ("左", "left", "右", "right"),
    ("前", "front", "后", "back"),
    ("里", "inside", "外", "outside"),
    ("开", "open", "关", "closed"),
    ("来", "come", "去", "go"),
    ("早", "early", "晚", "late"),
    ("轻", "light", "重", "heavy"),
    ("远", "far", "近", "near"),
    ("好", "good", "坏", "bad"),
    ("哭", "cry", "笑", "laugh"),
    ("买", "buy", "卖", "sell"),
    ("胖", "fat", "瘦", "thin"),
    ("干", "dry", "湿", "wet"),
    ("强", "strong", "弱", "weak"),
    ("真", "true", "假", "false"),
    ("高", "high", "低", "low"),
    ("男", "boy", "女", "girl"),
)

# key: Chinese, English with its article, English plural, members (keys), in the one order in which they are listed
CATEGORIES = {
    "animal": ("动物", "an animal", "animals", tuple(ANIMALS)),
    "fruit": ("水果", "a fruit", "fruits", tuple(FRUITS)),
    "vegetable": ("蔬菜", "a vegetable", "vegetables", tuple(VEGETABLES)),
    "vehicle": ("交通工具", "a vehicle", "vehicles", tuple(VEHICLES)),
    "toy": ("玩具", "a toy", "toys", tuple(TOYS)),
    "furniture": ("家具", "furniture", "pieces of furniture", tuple(FURNITURE)),
    "clothing": ("衣服", "clothing", "pieces of clothing", tuple(CLOTHING)),
    "color": ("颜色", "a color", "colors", tuple(COLORS)),
    "job": ("职业", "a job", "jobs", tuple(JOBS)),
}

# Adjectives for translation: Chinese as it stands before a noun, English
ADJECTIVES = (
    *((zh + "的", en) for en, zh in COLORS.items()),
    ("大", "big"),
    ("小", "small"),
    ("漂亮的", "beautiful"),
    ("干净的", "clean"),
)
# Tiny sentences for translation: Chinese, English; {z} a Chinese noun, {m} its measure word, {a} "a cat", {s} "cats"
SENTENCES = (
    ("我喜欢{z}", "I like {s}"),
    ("我有一{m}{z}", "I have {a}"),
    ("我看见一{m}{z}", "I see {a}"),
    ("这是一{m}{z}", "this is {a}"),
)

# What the shop sells: Chinese, English
GOODS = (
    *((NOUNS[key][0], key) for key in (*FRUITS, *VEGETABLES, *TOYS, *CLOTHING)),
    *((NOUNS[key][0], key) for key in ("book", "cup", "pen", "bag", "umbrella", "flower", "egg", "fish")),
    ("牛奶", "milk"),
    ("面包", "bread"),
    ("蛋糕", "cake"),
    ("饼干", "cookie"),
    ("茶", "tea"),
    ("果汁", "juice"),
)
# Chinese, English after "Order 318 "
ORDER_STATES = (
    ("已经发货", "has been sent"),
    ("正在打包", "is being packed"),
    ("已经送到", "has arrived"),
    ("已经取消", "has been canceled"),
    ("正在路上", "is on the way"),
)

# Places of things, for memory and stories: Chinese after 在, English
PLACES = (
    ("盒子里", "in the box"),
    ("桌子上", "on the table"),
    ("椅子下", "under the chair"),
    ("床上", "on the bed"),
    ("书包里", "in the bag"),
    ("门后面", "behind the door"),
    ("树下", "under the tree"),
    ("杯子里", "in the cup"),
)

# Names of people who do not live in town: what the user and the user's friends and pets are called, to be copied.
# Chinese ones are built from a character: 小明, 明明, 阿明.
NAME_CHARACTERS = "明红华军丽芳云天乐星月雪雨春秋东南林石宝文心米豆花静美平青海光亮冬夏飞强虎果球糖"
ENGLISH_NAMES = [
    "Tom", "Amy", "Bob", "Kate", "John", "Emma", "Max", "Zoe", "Paul", "Nina", "Eric", "Rose", "Peter",
    "Sara", "Mike", "Jane", "Alex", "Ella", "Tim", "Grace", "Henry", "Ivy", "Oscar", "Ruby", "Hugo", "Nora",
    "Felix", "Clara", "Simon", "Alice", "Adam", "Eva", "Noah", "Mia", "Liam", "Olivia", "George", "Helen", "Frank",
    "Judy", "Kevin", "Laura", "Martin", "Nancy", "Philip", "Rachel", "Steve", "Tina", "Victor", "Wendy", "Andy",
    "Betty", "Carl", "Diana", "Fred", "Gina", "Harry", "Iris", "Jim", "Karen", "Luke", "Mona", "Neil", "Peggy", "Ray",
    "Susan", "Toby", "Vera", "Zack", "Lola",
]  # fmt: skip
CHINESE_NAMES = [form.format(c) for c in NAME_CHARACTERS for form in ("小{0}", "{0}{0}", "阿{0}")]

# Places and things the model does not know about: Chinese, English
COUNTRIES = (
    ("法国", "France"),
    ("美国", "America"),
    ("日本", "Japan"),
    ("英国", "England"),
    ("德国", "Germany"),
    ("印度", "India"),
    ("俄国", "Russia"),
    ("西班牙", "Spain"),
)
CITIES = (("北京", "Beijing"), ("上海", "Shanghai"), ("巴黎", "Paris"), ("东京", "Tokyo"), ("伦敦", "London"))
STRANGE = (
    ("月亮", "the moon"),
    ("电影", "movies"),
    ("历史", "history"),
    ("恐龙", "dinosaurs"),
    ("股票", "stocks"),
    ("足球", "football"),
    ("大海", "the sea"),
    ("音乐", "music"),
    ("战争", "war"),
    ("化学", "chemistry"),
)
