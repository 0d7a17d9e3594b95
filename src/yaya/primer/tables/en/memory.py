"""English: what the user told Yaya, and what Yaya does not know.

How each kind of question is asked and answered: kind -> (answers, lines). The rules are those of `zh_knows.py`.
"""

# The one reply to all that it was not taught, in each kind
UNKNOWN = ("I don't know yet.", "I do not know yet", "I don't know", "I do not know")
PHRASES = {
    "memory.name": (
        ("Your name is {x}.", "{x}", "You are {x}", "It is {x}", "You are called {x}"),
        """
What is my name
Who am I
Do you [still |]know my name
Do you remember my name
Do you remember who I am
Do you know who I am
Tell me my name.
Say my name.
What am I called
What do you call me
What should you call me
What did I say my name [is|was]
Can you tell me my name
""",
    ),
    "memory.color": (
        ("You like {x}.", "{x}", "Your favorite color is {x}", "You like the color {x}", "It is {x}"),
        """
What color do I like
What color do I like best
What is my favorite color
Which color do I like
What color do I love
Do you remember my favorite color
Do you know what color I like
Do you remember what color I like
[Tell me|Say] my favorite color.
Tell me what color I like.
What color of [hat|coat|bag] do I want
What did I say my favorite color is
""",
    ),
    "memory.pet": (
        ("You have {a_x}.", "{x}", "{a_x}", "Your pet is {a_x}", "It is {a_x}"),
        """
What pet do I have
What animal do I have
What [is|animal is] my pet
Which pet do I have
What kind of [pet|animal] do I have
Do you remember my pet
Do you know what pet I have
Do you remember what pet I have
[Tell me|Say] what my pet is.
Tell me what pet I have.
What did I say my pet is
What animal lives with me
""",
    ),
    "memory.food": (
        (
            "You like to eat {x}.",
            "{x}",
            "You like {x}",
            "You like eating {x}",
            "Your favorite food is {x}",
            "It is {x}",
        ),
        """
What do I like to eat
What food do I like
What is my favorite food
What do I love to eat
[What|Which] food do I like best
Do you remember my favorite food
Do you know what I like to eat
Do you remember what I like to eat
[Tell me|Say] my favorite food.
Tell me what I like to eat.
What did I say I like to eat
What [should|can] you cook for me
""",
    ),
    "memory.age": (
        ("You are {x} years old.", "{x}", "{x} years old", "You are {x}", "{x} years"),
        """
How old am I
How old am I [now|today]
Do you know how old I am
Do you remember how old I am
Tell me how old I am.
[Tell me|Say] my age.
What is my age
Do you [still |]know my age
Do you remember my age
What did I say my age is
How many years old am I [now|]
""",
    ),
    "memory.petname": (
        ("Your {x} is called {y}.", "{y}", "It is {y}", "Your {x}'s name is {y}", "It is called {y}"),
        """
What is my {x} called
What is my {x}'s name
What is the name of my {x}
Do you [still |]know my {x}'s name
Do you remember my {x}'s name
[Do|Can] you remember the name of my {x}
Tell me my {x}'s name.
Tell me the name of my {x}.
Say the name of my {x}.
What did I say [my {x}'s name is|my {x} is called]
What do I call my {x}
""",
    ),
    "memory.friend": (
        ("Your friend is called {x}.", "{x}", "It is {x}", "Your friend is {x}", "Your friend's name is {x}"),
        """
What is my friend called
What is my friend's name
What is the name of my friend
Who is my friend
Who is my [good|best] friend
Do you [still |]know my friend's name
Do you remember my friend
Do you remember my friend's name
Tell me my friend's name.
Tell me the name of my [good |]friend.
Say the name of my friend.
What did I say my friend's name is
""",
    ),
    "memory.place": (
        ("The {x} is {y}.", "{y}", "It is {y}", "Your {x} is {y}"),
        """
Where is my {x}
Where is the {x}
Where did I put my {x}
Where did I put the {x}
Where [can|do] I find my {x}
Where can I find the {x}
Do you [still |]know where my {x} is
Do you remember where my {x} is
Tell me where my {x} is.
Where did I say [my|the] {x} is
In what place is [my|the] {x}
""",
    ),
    "memory.number": (
        ("Your lucky number is {x}.", "{x}", "It is {x}"),
        """
What is my lucky number
What number is my lucky number
Which [number|one] is my lucky number
[What|Which] lucky number do I have
Do you [still |]know my lucky number
[Do|Can] you remember my lucky number
Do you remember what my lucky number is
Tell me my lucky number.
Say my lucky number.
What did I say my lucky number is
Can you tell me my lucky number
""",
    ),
    "unknown.capital": (
        UNKNOWN,
        """
What is the capital of {country}
What is {country}'s capital
Where is {country}
Where can I find {country}
Tell me [about|something about] {country}.
Tell me the capital of {country}.
Do you know the capital of {country}
How many people live in {country}
How big is {country}
Is {country} [big|small]
What language do people speak in {country}
What do people eat in {country}
Is {country} far from here
""",
    ),
    "unknown.weather": (
        UNKNOWN,
        """
What is the weather like
What is the weather [like|] today
How is the weather today
How is the weather in {city}
What is the weather like in {city}
Will it rain [today|tomorrow]
Will it snow in {city}
Is it cold [outside|today]
Is it hot in {city}
Do I need an umbrella [today|tomorrow]
Tell me about the weather in {city}.
Do you know the weather in {city}
Will it be [hot|cold] tomorrow
""",
    ),
    "unknown.times": (
        UNKNOWN,
        """
What is {a} times {b}
How much is {a} times {b}
{a}*{b}=[?|]
{a}×{b}=[?|]
What is {a}*{b}
What is {a}×{b}
{a} times {b}
{a} times {b} is what
[Tell me|Say] {a} times {b}.
What does {a} times {b} equal
What do [you|I] get for {a} times {b}
""",
    ),
    "unknown.news": (
        UNKNOWN,
        """
What is the news today
What is new in {city}
Who won the game
Who won the game in {city}
Who won the football game
What was the score of the game
What time is it [now|]
What day is it today
What is the time in {city}
Who is the president of {country}
Tell me the news.
Tell me the time.
How are the stocks today
What is the price of the stocks
""",
    ),
    "unknown.world": (
        UNKNOWN,
        """
Tell me about {s}.
What do you know about {s}
Do you know about {s}
Where does {s_base} come from
Why do people like {s}
How can I learn [about |]{s}
How do I learn {s}
What is so good about {s}
How old is {s_base}
Who made {s}
Why is there {s}
Can you teach me about {s}
What is the story of {s}
I want to know about {s}.
""",
    ),
    "unknown.number": (
        UNKNOWN,
        """
How far is {city} from {city2}
How far is it to {city}
How many people live in {city}
How [big|old] is {city}
How many {xs} are there in the world
How many {xs} are there in {city}
Where is the [biggest|best] {x} in the world
Who made the first {x}
When does the train to {city} come
How much is the train to {city}
How long does it take to go to {city}
What is the phone number of {city}
Who is the biggest person in the world
""",
    ),
}

# What the user tells: kind -> (Yaya's reply, lines). The telling lines are all taught; only the questions are held out.
REMEMBER = "OK, I will remember that."
TELLS = {
    "memory.name": (
        "Nice to meet you, {x}!",
        (
            "My name is {x}.",
            "I am {x}.",
            "Hello, I am {x}.",
            "I'm {x}.",
            "Hi, my name is {x}.",
            "Call me {x}.",
            "You can call me {x}.",
        ),
    ),
    "memory.color": (
        REMEMBER,
        ("I like {x}.", "My favorite color is {x}.", "I love {x}.", "I like {x} best.", "I like the color {x}."),
    ),
    "memory.pet": (
        REMEMBER,
        ("I have {a_x}.", "My pet is {a_x}.", "I have {a_x} at home.", "I have a pet, {a_x}.", "I keep {a_x}."),
    ),
    "memory.food": (
        REMEMBER,
        (
            "I like to eat {x}.",
            "I love to eat {x}.",
            "My favorite food is {x}.",
            "I like {x} best to eat.",
            "I eat {x} every day.",
        ),
    ),
    "memory.age": (
        REMEMBER,
        ("I am {x} years old.", "I'm {x} years old.", "My age is {x}.", "I am {x} now.", "Today I am {x} years old."),
    ),
    "memory.petname": (
        REMEMBER,
        (
            "My {x} is called {y}.",
            "My {x}'s name is {y}.",
            "The name of my {x} is {y}.",
            "I have {a_x} called {y}.",
            "I call my {x} {y}.",
        ),
    ),
    "memory.friend": (
        REMEMBER,
        (
            "My friend is called {x}.",
            "My friend's name is {x}.",
            "{x} is my friend.",
            "I have a friend called {x}.",
            "The name of my friend is {x}.",
        ),
    ),
    "memory.place": (
        REMEMBER,
        ("My {x} is {y}.", "The {x} is {y}.", "I put my {x} {y}.", "I put the {x} {y}.", "Remember, the {x} is {y}."),
    ),
    "memory.number": (
        REMEMBER,
        (
            "My lucky number is {x}.",
            "{x} is my lucky number.",
            "Remember my lucky number, {x}.",
            "The number {x} is my lucky number.",
        ),
    ),
}
