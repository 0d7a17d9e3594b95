"""The plots of the stories, a sentence a line; [a|b] means either.

{a}, {b}, {c} are three people of the town; {a_pet} {a_food} {a_color} {a_job} {a_home} are their facts ({a_apet}: with
its English article). {thing} was lost and lies {place}; {x}+{y}={z} is a taught sum; {good} costs {price}; {w} and {o}
are opposites; {name} is a visitor; {when} is a day. A sentence never contradicts the facts, whoever the people are.
"""

TALES = {
    "zh": """
[{when}，|]{a}的{a_pet}不见了。
{a}[很难过|有点想哭]，因为{a}[最|很]喜欢这{a_m}{a_pet}。
{a}去{b_home}找，{b}住在那里。
{b}说：“[别难过|别哭]，我[帮你找|和你一起找]。”
[他们|两个人]在{c_home}找到了{a_pet}，{c}正在[给它吃东西|陪它玩]。
{a}[很高兴|笑了]，说：“谢谢{b}，谢谢{c}！”
[晚上|后来]，{a}请大家吃饭：{b}吃{b_food}，{c}吃{c_food}。

{a}的{thing}不见了。
{a}是{a_job}，每天都要用{thing}。
{a}[到处找|找了很久]，没有找到。
{b}来了，说：“我看见{thing}了，它在{place}。”
[真的|对了]，{thing}就在{place}！
{a}说：“[谢谢你|多谢]，{b}！”
{a}请{b}吃{b_food}，因为{b}喜欢吃{b_food}。

[{when}|今天]是{a}的生日。
{b}和{c}来到{a_home}，{a}住在那里。
{b}送给{a}一个{a_color}的气球，因为{a}喜欢{a_color}。
{c}给{a}带来了{a_food}，因为{a}[最爱|喜欢]吃{a_food}。
{a}的{a_pet}也[很高兴|来了]。
大家一起唱歌，[玩到很晚|笑得很开心]。
{a}说：“[谢谢大家|今天真开心]！”

{a}有{x}个[苹果|鸡蛋|梨]。
{b}来了，又给{a}{y}个。
{a}[数一数|算一算]：{x}+{y}={z}。
现在{a}有{z}个。
{b}是{b_job}，[算得很快|也会算]，{b}说：“对了，是{z}个！”
两个人[高兴|开心]地笑了。

{when}，下雨了。
{a}没有带雨伞，站在树下。
{b}[来了|看见了]，说：“我有雨伞，我们一起走。”
{b}送{a}回家，{a}住在{a_home}。
{a}说：“[谢谢你|多谢]！请吃{b_food}吧。”
{b}[很高兴|笑了]，因为{b}喜欢吃{b_food}。
雨停了，{b}也回到{b_home}的家。

{a}和{b}在学校[玩|学习]。
{a}问：“{w}的反义词是什么？”
{b}想了想，说：“{w}的反义词是{o}。”
{a}说：“[对了|说得对]！”
{b}问：“{o}的反义词是什么？”
{a}[笑了|马上]说：“{o}的反义词是{w}。”
两个人[都很棒|都答对了]。

{when}，{a}去牙牙小店买东西。
小店在市场里，早上9点开门。
{a}问：“{good}多少钱？”
店员说：“{good}{price}元。”
{a}[付了钱|给了店员{price}元]，[很高兴|高兴地走了]。
[路上|后来]，{a}把{good}送给了{b}。
{b}说：“谢谢你，{a}！”

{name}[第一次|]来到竹子镇。
{name}问：“谁是{a_job}？”
{b}说：“{a}是{a_job}，{a}住在{a_home}。”
{name}去{a_home}，看见{a}和一{a_m}{a_pet}。
{a}说：“你好！[很高兴见到你|你叫什么名字]。”
{name}说：“[我叫{name}|你好，我是{name}]。”
{name}和{a}做了[好|]朋友。

我是竹子镇的人，请[你|大家]想一想，我是谁。
我喜欢{a_color}，也喜欢吃{a_food}。
我有一{a_m}{a_pet}，我们住在{a_home}。
我[每天|平时]的工作是{a_job}。
我不是{b}，{b}是{b_job}。
[对了|知道了吧]，我是{a}。

{when}，{a}带着{a_pet}去{b_home}找{b}。
{b}家里有一{b_m}{b_pet}。
{a_pet}和{b_pet}[一起玩|成了好朋友]。
{b}给{a}吃{a_food}，{a}[很高兴|说真好吃]。
{a}送给{b}一本{b_color}的书，{b}[很喜欢|笑了]。
晚上，{a}和{a_pet}回到{a_home}的家。

{a}病了，[不想吃东西|在床上睡觉]。
大卫是医生，大卫来看{a}。
大卫说：“[别难过|没关系]，好好睡觉，明天就好了。”
{b}送来{a_food}，因为{a}喜欢吃{a_food}。
第二天，{a}[好了|不难过了]。
{a}说：“谢谢大卫，谢谢{b}！”

{a}想画一张画，送给{b}。
{b}喜欢{b_color}，{a}就用了很多{b_color}。
{a}画了{b}的家，{b}的家在{b_home}。
{a}又画了{b}的{b_pet}。
{b}看了画，[很高兴|笑了]，说：“[真漂亮|谢谢你，{a}]！”
{b}请{a}吃{a_food}，{a}最喜欢吃{a_food}。
""",
    "en": """
[{when}, |]{a} [could not find|lost] the {a_pet}.
{a} was [very sad|so sad], because {a} loves the {a_pet}.
{a} went to look {b_home}, where {b} lives.
{b} said, "[Do not be sad|Do not cry]. I will [help you|look with you]."
[They|The two friends] found the {a_pet} {c_home}, and {c} was [giving it food|playing with it].
{a} was very happy and said, "Thank you, {b}! Thank you, {c}!"
[In the evening|Then], {a} gave food to all: {b_food} for {b} and {c_food} for {c}.

{a} could not find the {thing}.
{a} is {a_ajob} and needs the {thing} every day.
{a} looked and looked, [but did not find it|for a long time].
{b} came and said, "I saw the {thing}. It is {place}."
[Yes|And so it was]: the {thing} was {place}!
{a} said, "[Thank you|Thank you very much], {b}!"
{a} gave {b} some {b_food}, because {b} likes to eat {b_food}.

[{when} was|Today is] the birthday of {a}.
{b} and {c} came to the house {a_home}, where {a} lives.
{b} gave {a} a {a_color} balloon, because {a} likes {a_color}.
{c} brought {a_food} for {a}, because {a} [loves|likes] to eat {a_food}.
The {a_pet} of {a} was [happy, too|there, too].
They sang a song and [played until late|laughed a lot].
{a} said, "[Thank you, my friends|What a happy day]!"

{a} has {x} [apples|eggs|pears].
{b} comes and gives {a} {y} more.
{a} [counts|adds]: {x}+{y}={z}.
Now {a} has {z}.
{b} is {b_ajob} and [counts fast|can add, too]. {b} says, "Right, it is {z}!"
The two friends [laugh|are happy].

{when}, it rained.
{a} had no umbrella and stood under a tree.
{b} [came|saw it] and said, "I have an umbrella. We can go together."
{b} took {a} home. {a} lives {a_home}.
{a} said, "[Thank you|Thank you very much]! Please eat some {b_food}."
{b} [was happy|laughed], because {b} likes to eat {b_food}.
Then the rain was over, and {b} went home, too. {b} lives {b_home}.

{a} and {b} [play|learn] at school.
{a} asks, "What is the opposite of {w}?"
{b} thinks and says, "The opposite of {w} is {o}."
{a} says, "[Very good|That is right]!"
{b} asks, "What is the opposite of {o}?"
{a} [laughs and |]says, "The opposite of {o} is {w}."
The two friends are [very good|both right].

{when}, {a} went to Yaya's shop.
The shop is in the market and opens at 9 in the morning.
{a} asked, "How much is the {good}?"
Someone in the shop said, "The {good} is {price} yuan."
{a} [paid|gave {price} yuan] and was [happy|very happy].
[On the way home|Then], {a} gave the {good} to {b}.
{b} said, "Thank you, {a}!"

{name} came to Bamboo Town[ for the first time|].
{name} asked, "Who is the {a_job}?"
{b} said, "{a} is {a_ajob}. {a} lives {a_home}."
{name} went to the house {a_home} and saw {a} with {a_apet}.
{a} said, "Hello! [Nice to meet you|What is your name]."
{name} said, "[My name is|Hello, I am] {name}."
{name} and {a} are [good |]friends now.

I live in Bamboo Town. Please think: who am I?
I like {a_color}, and I like to eat {a_food}.
I have {a_apet}, and we live {a_home}.
[My job is|Every day I work as] {a_job}.
I am not {b}. {b} is {b_ajob}.
[Right|Do you know it now]: I am {a}.

{when}, {a} and the {a_pet} went to see {b} {b_home}.
{b} has {b_apet} at home.
The {a_pet} and the {b_pet} [played together|were good friends].
{b} gave {a} some {a_food}, and {a} [was happy|said it was good].
{a} gave {b} a {b_color} book, and {b} [loved it|laughed].
In the evening, {a} and the {a_pet} went home. They live {a_home}.

{a} did not feel good and [did not want to eat|was in bed].
David is a doctor, and David came to see {a}.
David said, "[Do not be sad|Sleep well]. Tomorrow you will be fine."
{b} came with {a_food}, because {a} likes to eat {a_food}.
The next day, {a} [was fine|was not sad].
{a} said, "Thank you, David! Thank you, {b}!"

{a} wanted to paint something for {b}.
{b} likes {b_color}, so {a} used a lot of {b_color}.
{a} painted the house of {b}. {b} lives {b_home}.
Then {a} painted the {b_pet} of {b}.
{b} looked at it, [was happy|laughed] and said, "[How beautiful|Thank you, {a}]!"
{b} gave {a} some {a_food}, and {a} likes {a_food} best.
""",
}
WHEN = {
    "zh": ("星期一", "星期六", "星期天", "一天早上", "一天晚上", "一天", "昨天"),
    "en": ("On Sunday", "On Saturday", "One day", "One morning", "One evening", "One cold day"),
}
# The birthday needs a day that can be one
BIRTHDAY_WHEN = {"zh": ("星期一", "星期六", "星期天", "昨天"), "en": ("Sunday", "Saturday", "That day")}

TITLES = {
    "zh": {
        "person": "竹子镇的人：{p}",
        "town": "竹子镇",
        "animals": "动物",
        "numbers": "数字",
        "sums": "算数",
        "opposites": "反义词",
        "categories": "分类",
        "words": "中文和英文",
        "shop": "牙牙小店",
        "yaya": "牙牙",
    },
    "en": {
        "person": "The people of Bamboo Town: {p}",
        "town": "Bamboo Town",
        "animals": "Animals",
        "numbers": "Numbers",
        "sums": "Adding and taking away",
        "opposites": "Opposites",
        "categories": "Kinds of things",
        "words": "Chinese and English",
        "shop": "Yaya's shop",
        "yaya": "Yaya",
    },
}
