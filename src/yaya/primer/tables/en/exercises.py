"""English: translation, instructions and the shop.

How each kind of question is asked and answered: kind -> (answers, lines). The rules are those of `zh_knows.py`.
"""

PHRASES = {
    "translation.to_en": (
        ("{e}", "{a_e}", "{z} is {e}", "{z} means {e}", "It means {e}", "It is {e}"),
        """
What is {z} in English
What does {z} mean
What does {z} mean in English
How do you say {z} in English
Say {z} in English.
Translate {z} to English.
Translate to English: {z}
Translate into English: {z}
[Please|] put {z} into English.
Tell me what {z} means.
What is the English for {z}
What is the English word for {z}
What is the meaning of {z}
{z} in English
Tell me {z} in English.
""",
    ),
    "translation.to_zh": (
        ("{z}", "{e} is {z}", "It is {z}", "{e} in Chinese is {z}"),
        """
What is {e} in Chinese
How do you say {e} in Chinese
Say {e} in Chinese.
Translate {e} to Chinese.
Translate to Chinese: {e}
Translate into Chinese: {e}
[Please|] put {e} into Chinese.
What is the Chinese for {e}
What is the Chinese word for {e}
{e} in Chinese
Tell me {e} in Chinese.
How would you say {e} in Chinese
How do you write {e} in Chinese
Write {e} in Chinese.
""",
    ),
    "instructions.repeat": (
        ("{s}",),
        """
Repeat after me: {s}
[Please|] say after me: {s}
[Please|] repeat: {s}
Repeat this: {s}
[Please|] say: {s}
Say this: {s}
Say these words: {s}
Repeat these words: {s}
[Please|] repeat my words: {s}
Say it again: {s}
Can you say this: {s}
[Please|] say "{s}".
Repeat "{s}".
Write this: {s}
""",
    ),
    "instructions.list": (
        ("{items}", "{items_and}", "{items_oxford}", "{items_space}"),
        """
List {n} {cs}.
[Please|] name {n} {cs}.
Tell me {n} {cs}.
Give me {n} {cs}.
[Please|] say {n} {cs}.
Say the names of {n} {cs}.
Write {n} {cs}.
Give me the names of {n} {cs}.
Can you name {n} {cs}
Can you list {n} {cs}
What are {n} {cs}
I want the names of {n} {cs}.
Do you know {n} {cs}
""",
    ),
    "instructions.list_from": (
        ("{items}", "{items_and}", "{items_oxford}", "{items_space}"),
        """
List {n} {cs}, [start with|start from] {x}.
[Please|] name {n} {cs}, start with {x}.
Start with {x} and list {n} {cs}.
Start with {x} and name {n} {cs}.
Start from {x} and [list|say] {n} {cs}.
Give me {n} {cs}. The first is {x}.
Say {n} {cs}. Start with {x}.
Tell me {n} {cs}. Start [with|from] {x}.
Write {n} {cs}. The first [one |]is {x}.
I want {n} {cs}. Start from {x}.
""",
    ),
    "instructions.reverse": (
        ("{items}", "{items_space}"),
        """
Reverse this list: {list}
Reverse these words: {list}
Reverse: {list}
[Please|] reverse the list {list}.
Say it backwards: {list}
Say these words backwards: {list}
Say {list} backwards.
What is {list} backwards
{list}: say it backwards.
{list}. Reverse [the list|it].
Say this list from last to first: {list}
List from last to first: {list}
Write these words backwards: {list}
""",
    ),
    "instructions.choose": (
        ("{x}", "{ord} is {x}", "{ord} word is {x}", "It is {x}"),
        """
{list}: what is {ord} word
{list}: say {ord} word.
{list}. [What|Which] is {ord} one
What is {ord} word: {list}
What is {ord} word in this list: {list}
What is {ord} word here: {list}
Which is {ord} word: {list}
Say {ord} word: {list}
[Tell me|Say] {ord} word in {list}.
Give me {ord} word: {list}
In {list}, which is {ord} word
Look at {list}. What is {ord} word
Write {ord} word: {list}
""",
    ),
    "shop.hours": (
        (
            "We open at 9 in the morning and close at 8 in the evening.",
            "From 9 in the morning to 8 in the evening",
            "9 to 8",
        ),
        """
When do you open
When do you close
When does [the|your] shop open
When does the shop close
What are your opening hours
What are the hours of the shop
When are you open
What time do you open
What time do you close
What time does the shop [open|close]
When can I come to the shop
From when to when are you open
At what time can I come
""",
    ),
    "shop.days": (
        ("We are open every day.", "Every day", "Yes, we are open every day"),
        """
Are you open on Sunday
Are you open on Saturday
Are you open every day
Is the shop open [on Sunday|on Saturday|every day]
Can I come on [Sunday|Saturday]
Can I come to the shop on Saturday
What days are you open
On which days are you open
Do you close on [Sunday|Saturday]
Which day does the shop close
Is there a day when the shop is closed
""",
    ),
    "shop.returns": (
        ("You can return it within 7 days.", "Within 7 days", "7 days", "Yes, you can return it within 7 days"),
        """
Can I return it
Can I return things
I want to return [it|this|something].
How do I return [it|something]
How long do I have to return it
I do not like it. Can I return it
Can I send it back
I want to send it back.
How many days do I have to return it
I do not want it [now|]. Can I return it
Do you take things back
When can I return it
""",
    ),
    "shop.delivery": (
        ("Delivery takes 2 days.", "2 days", "It takes 2 days"),
        """
How long does delivery take
How many days does delivery take
How many days is delivery
When will [it|my order] come
When will it come to my house
When will I get [it|my things]
When do I get my things
How long [do|should] I wait for delivery
How many days [do|should] I wait
How fast is delivery
How long does it take to come
""",
    ),
    "shop.fee": (
        ("Delivery is free.", "It is free", "Free", "Yes, delivery is free"),
        """
How much is delivery
How much is the delivery
How much money is [delivery|the delivery]
Is delivery free
Is the delivery free
What does delivery cost
How much does delivery cost
[Do|Should] I pay for delivery
How much do I pay for delivery
Does delivery cost [money|something]
Is there free delivery
Does it cost money to send it to my house
""",
    ),
    "shop.where": (
        ("The shop is in the market.", "In the market", "It is in the market", "We are in the market"),
        """
Where is the shop
Where is your shop
Where in town is the shop
Where can I find the shop
Where can I find your shop
How [do|can] I find the shop
How [do|can] I get to the shop
In what place is [the|your] shop
Tell me where the shop is.
What is the address of the shop
What is your address
Where do I go to buy things
""",
    ),
    "shop.pay": (
        (
            "You can pay by cash or by phone.",
            "By cash or by phone",
            "Cash or phone",
            "Yes, you can pay by cash or by phone",
        ),
        """
How do I pay
How can I pay
Can I pay by phone
Can I pay with [my|the] phone
Can I pay by cash
Can I pay with cash
How [do|can] I pay for things
Do you take cash
What [can|do] I pay with
Which ways can I pay
In what way can I pay
Should I pay with cash or by phone
""",
    ),
    "shop.sells": (
        ("We sell fruit, toys and books.", "Fruit, toys and books"),
        """
What do you sell
What does the shop sell
What can I buy
What [can|do] I buy here
What can I buy in the shop
What [things|kind of things] do you sell
What do you have in the shop
What is [there |]in the shop
What is there to buy
What things does the shop have
Tell me what [you sell|the shop sells].
""",
    ),
    "shop.broken": (
        ("Sorry, we will give you a new one.", "We will give you a new one"),
        """
It is broken.
My [cup|ball|umbrella] is broken.
The [cup|ball|toy] came broken.
The thing I got is broken.
It came broken. What can I do
What if it is broken
You sent me a broken [cup|toy].
I got a broken [cup|toy].
I got the wrong thing.
You sent me the wrong thing.
My new toy is broken.
Can I get a new one
""",
    ),
    "shop.human": (
        ("OK, please wait. Someone is coming.", "Please wait. Someone is coming", "Someone is coming"),
        """
I want to [talk|speak] to a person.
Can I talk to a person
Can I [talk|speak] to someone
I want to talk to someone in the shop.
Is there someone in the shop
Is someone there to help me
Can someone help me
Please [get|find] someone.
Get me a person [please|].
Can a person help me
Please let me talk to someone.
""",
    ),
    "shop.price": (
        ("The {x} is {n} yuan.", "{n} yuan", "{n}", "It is {n} yuan", "{x} {n} yuan", "The {x} costs {n} yuan"),
        """
How much is the {x}
How much is one {x}
How much does the {x} cost
How much money is the {x}
What is the price of the {x}
What does [the|one] {x} cost
What is the price for the {x}
What do I pay for the {x}
How much do I pay for the {x}
I want to buy the {x}. How much is it
I want the {x}. How much is it
Tell me the price of the {x}.
The {x}, how much is it
How much money do I need for the {x}
""",
    ),
    "shop.which_price": (
        ("The {x} is {n} yuan.", "{x}", "The {x}", "It is the {x}", "The {x} costs {n} yuan"),
        """
What is {n} yuan
Which one is {n} yuan
Which thing is {n} yuan
What costs {n} yuan
Which thing costs {n} yuan
Which one costs {n} yuan
What can I buy for {n} yuan
I have {n} yuan. What can I buy
What can I get [for|with] {n} yuan
Tell me [what|which thing] costs {n} yuan.
What is the thing for {n} yuan
[What|Which one] has a price of {n} yuan
""",
    ),
    "shop.order": (
        ("Order {n} {s}.", "{s}", "It {s}", "Your order {n} {s}", "Your order {s}"),
        """
Where is order {n}
Where is my order {n}
What about order {n}
How is order {n}
My order is {n}. Where is it
Has order {n} been sent
Tell me about order {n}.
Please find order {n}.
Look for order {n}.
When will order {n} come
I want to know about order {n}.
Is order {n} coming
Is my order {n} here
Can you find [my |]order {n}
""",
    ),
}

OPENERS = ("Please tell me, ", "Yaya, ", "Hello, ", "I want to know, ", "Excuse me, ", "OK, ", "One question: ")
CALLS = ("Yaya, ", "Hey, ", "OK, ", "Well, ")
SYSTEMS = ("You are Yaya.", "You are Yaya, a little language model.", "Please answer in English.")
PRICE_LISTS = (
    "Prices: {list}.",
    "Prices today: {list}.",
    "In the shop: {list}.",
    "Price list: {list}.",
    "The prices of the shop: {list}.",
)
PRICE = "{x} {n} yuan"
ORDER_LISTS = ("{list}.", "Orders: {list}.", "Orders today: {list}.")
ORDER = "order {n} {s}"
