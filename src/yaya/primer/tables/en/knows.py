"""English: facts, sums, counting, opposites and categories.

How each kind of question is asked and answered: kind -> (answers, lines). The rules are those of `zh_knows.py`.
"""

PHRASES = {
    "facts.pet": (
        ("{p} has {a_pet}.", "{pet}", "{a_pet}", "It is {a_pet}", "{p}'s pet is {a_pet}"),
        """
What pet does {p} have
[Which|What] animal does {p} have
What is {p}'s pet
What kind of [pet|animal] does {p} have
What kind of [pet|animal] is {p}'s pet
Tell me [about|what] {p}'s pet [is|].
Do you know what pet {p} has
Does {p} have a pet? What is it
What does {p} have at home as a pet
Which animal lives with {p}
What [pet|animal] does {p} keep
What is the pet of {p}
What animal does {p} in Bamboo Town have
""",
    ),
    "facts.who_pet": (
        ("{p} has {a_pet}.", "{p}", "{p} does", "It is {p}", "It is {p}'s"),
        """
Who has [{a_pet}|the {pet}]
Whose pet is [{a_pet}|the {pet}]
Whose {pet} is [it|this]
Which person has {a_pet}
Who in [town|Bamboo Town] has {a_pet}
Tell me who has {a_pet}.
Do you know who has [{a_pet}|the {pet}]
Who keeps {a_pet} [as a pet|]
Who is the [person|friend] with the {pet}
Who has {a_pet} at home
What is the name of the person with the {pet}
The {pet} lives with [who|which person]
Who owns [{a_pet}|the {pet}]
""",
    ),
    "facts.food": (
        (
            "{p} likes to eat {food}.",
            "{food}",
            "{p} likes {food}",
            "{p} likes eating {food}",
            "{p}'s favorite food is {food}",
        ),
        """
What does {p} like to eat
What does {p} love to eat
What is {p}'s favorite food
What food does {p} like [best|]
What food does {p} love
Tell me what {p} likes to eat.
Tell me {p}'s favorite food.
Do you know what {p} likes to eat
What does {p} want to eat
What should I cook for {p}
[Which|What] food is best for {p}
What does {p} eat [every day|at home]
""",
    ),
    "facts.who_food": (
        ("{p} likes to eat {food}.", "{p}", "{p} does", "It is {p}", "{p} likes {food}"),
        """
Who likes to eat {food}
Who loves to eat {food}
Who likes {food}
Whose favorite food is {food}
Which person likes [to eat|] {food}
Who in [town|Bamboo Town] likes {food}
Tell me who likes [to eat|] {food}.
Do you know who likes [to eat|] {food}
Who wants to eat {food}
I made {food}. Who will eat it
Who eats {food} every day
What is the name of the person who likes {food}
""",
    ),
    "facts.color": (
        (
            "{p} likes {color}.",
            "{color}",
            "{p} likes the color {color}",
            "{p}'s favorite color is {color}",
            "It is {color}",
        ),
        """
What color does {p} like
What color does {p} like best
What is {p}'s favorite color
[Which|What] color does {p} love
Tell me {p}'s favorite color.
Tell me what color {p} likes.
Do you know what color {p} likes
What color of [hat|coat|bag] does {p} want
What is the favorite color of {p}
Which color is the best for {p}
What color should I buy for {p}
Which color does {p} in Bamboo Town like
""",
    ),
    "facts.who_color": (
        ("{p} likes {color}.", "{p}", "{p} does", "It is {p}", "{p} likes the color {color}"),
        """
Who likes {color}
Who likes the color {color}
Who loves {color}
Whose favorite color is {color}
Which person likes {color}
Who in [town|Bamboo Town] likes {color}
Tell me who likes {color}.
Do you know who likes {color}
Who wants a {color} [hat|coat|bag]
{color_cap} is whose favorite color
Who likes {color} best
What is the name of the person who likes {color}
""",
    ),
    "facts.job": (
        ("{p} is {a_job}.", "{job}", "{a_job}", "{p} works as {a_job}", "{p}'s job is {job}"),
        """
What does {p} do
Who is {p}
Tell me about {p}.
Do you know {p}
What is {p}'s job
What job does {p} have
What work does {p} do
What is the job of {p}
Tell me {p}'s job.
Tell me what {p} does.
Do you know what {p} does
Do you know {p}'s job
What does {p} do [every day|for work]
What does {p} work as
Which job does {p} have in Bamboo Town
""",
    ),
    "facts.who_job": (
        ("{p} is {a_job}.", "{p}", "{p} is", "It is {p}", "The {job} is {p}"),
        """
Who is [the|a] {job}
Who is the {job} in [town|Bamboo Town]
Which person is the {job}
Who works as {a_job}
What is the name of the {job}
Tell me who the {job} is.
Do you know who the {job} is
What is the {job} called
I want to find the {job}. Who is it
Whose job is it to be the {job}
Who in town is the {job}
The {job} is [who|which person]
""",
    ),
    "facts.home": (
        ("{p} lives {home}.", "{home}", "{p}'s home is {home}", "{p}'s house is {home}", "It is {home}"),
        """
Where does {p} live
Where is {p}'s [home|house]
Where can I find {p}
Tell me where {p} lives.
Do you know where {p} lives
Where is the [home|house] of {p}
In what place does {p} live
Where should I go to find {p}
I want to go to {p}'s house. Where is it
What place does {p} live in
Where do I find {p}'s [home|house]
Where in Bamboo Town does {p} live
""",
    ),
    "facts.who_home": (
        ("{p} lives {home}.", "{p}", "{p} does", "It is {p}", "It is {p}'s"),
        """
Who lives {home}
Whose [home|house] is {home}
Which person lives {home}
Who has [a|the] house {home}
Tell me who lives {home}.
Do you know who lives {home}
Who is the person living {home}
Who in [town|Bamboo Town] lives {home}
What is the name of the person who lives {home}
Whose house can I find {home}
Who has a home {home}
Who can I find {home}
""",
    ),
    "facts.eats": (
        ("{x_cap} eats {food}.", "{food}", "It eats {food}", "{xs} eat {food}"),
        """
What does {x} eat
What does {x} like to eat
What do {xs} eat
What do {xs} like to eat
What is the food of {x}
Tell me what {x} eats.
Do you know what {xs} eat
What food does {x} [want|like|eat]
What [should|can] I give {x} to eat
What food do {xs} [like|love]
What is the favorite food of {xs}
What food is best for {x}
""",
    ),
    "facts.sound": (
        ("{x_cap} says {sound}.", "{sound}", "It says {sound}", "{xs} say {sound}"),
        """
What does {x} say
What sound does {x} make
What sound do {xs} make
What do {xs} say
Tell me what {x} says.
Do you know what {x} says
What is the sound of {x}
How does {x} sound
How [does|can] {x} talk
[Make|Say] the sound of {x}.
[Which sound|What kind of sound] does {x} make
""",
    ),
    "facts.thing_color": (
        ("{x_cap} is {color}.", "{color}", "It is {color}", "The color of {x} is {color}"),
        """
What color is {x}
What is the color of {x}
Which color is {x}
Which color does {x} have
[Tell me|Say] the color of {x}.
Do you [know|remember] the color of {x}
[What|What kind of] color does {x} have
I want to paint {x}. [What|Which] color is it
[What|Which] color should I paint {x}
Tell me what color {x} is.
""",
    ),
    "facts.town": (
        ("Bamboo Town has 8 people, and they are all good friends.",),
        """
What is Bamboo Town
What is Bamboo Town like
How many people [live|are] in Bamboo Town
How many people live in town
How many people are there in Bamboo Town
Tell me [about|something about] Bamboo Town.
Do you know Bamboo Town
How many people does Bamboo Town have
What can you tell me about [the town|Bamboo Town]
Are the people in [Bamboo Town|town] [good|friends]
""",
    ),
    "arithmetic.add": (
        (
            "{a}+{b}={c}",
            "{c}",
            "{a} plus {b} is {c}",
            "{a} plus {b} equals {c}",
            "{a} + {b} = {c}",
            "It is {c}",
            "The answer is {c}",
        ),
        """
What is {a} plus {b}
[{a}+{b}=|{a} + {b} = ][?|]
What is {a}+{b}
{a} plus {b}
How much is {a} plus {b}
How much is {a}+{b}
{a} plus {b} is what
{a} and {b} is how much
[Add|Please add] {a} and {b}.
Tell me {a} plus {b}.
What do you get if you add {a} and {b}
What is the sum of {a} and {b}
I have {a} [apples|pears|eggs] and buy {b} more. How many do I have [now|]
There are {a} birds in the tree. {b} more come. How many are there [now|]
There are {a} balls in the box and {b} balls on the table. How many are there
What does {a} plus {b} equal
""",
    ),
    "arithmetic.sub": (
        (
            "{a}-{b}={c}",
            "{c}",
            "{a} minus {b} is {c}",
            "{a} minus {b} equals {c}",
            "{a} - {b} = {c}",
            "It is {c}",
            "The answer is {c}",
        ),
        """
What is {a} minus {b}
[{a}-{b}=|{a} - {b} = ][?|]
What is {a}-{b}
{a} minus {b}
How much is {a} minus {b}
How much is {a}-{b}
{a} minus {b} is what
{a} take away {b} is how much
What is {a} take away {b}
Take {b} from {a}.
Tell me {a} minus {b}.
What do you get if you take {b} from {a}
I have {a} [apples|pears|eggs] and eat {b}. How many do I have [now|]
There are {a} birds in the tree. {b} go away. How many are there [now|]
There are {a} balls in the box. I take {b}. How many are there
What does {a} minus {b} equal
""",
    ),
    "counting.items": (
        ("{n} {xs}.", "{n}", "There are {n} {xs}", "There is {n} {xs}", "{n} {xs} in all"),
        """
{list}: how many {ps}
{list}: how many {ps} are there
{list}. How many {ps} [do you see|are there]
{list}. Count the {ps}.
How many {ps} are here: {list}
How many {ps}: {list}
Count the {ps}: {list}
Here are {list}. How many {ps} [are there|do you see]
I have {list}. How many {ps} do I have
Look: {list}. How many {ps} are there
Please count the {ps}: {list}
In {list}, how many {ps} are there
Tell me how many {ps}: {list}
""",
    ),
    "counting.after": (
        ("After {a} comes {c}.", "{c}", "It is {c}", "{c} comes after {a}"),
        """
What comes after {a}
[What|Which] number comes after {a}
What is after {a}
Which number is after {a}
What is the next number after {a}
What is the number after {a}
Tell me the number after {a}.
Tell me what comes after {a}.
I count to {a}. [What comes next|What is next]
When you count, what comes after {a}
[What|Which] number is 1 more than {a}
{a} and then what number
""",
    ),
    "counting.before": (
        ("Before {a} comes {c}.", "{c}", "It is {c}", "{c} comes before {a}"),
        """
What comes before {a}
[What|Which] number comes before {a}
What is before {a}
Which number is before {a}
What is the last number before {a}
What is the number before {a}
Tell me the number before {a}.
[Tell me|Say] what comes before {a}.
I count to {a}. What [came|comes] before
When you count, what comes before {a}
[What|Which] number is 1 less than {a}
""",
    ),
    "counting.range": (
        ("{range}.", "{range_space}"),
        """
Count from {a} to {b}.
[Please|] count from {a} up to {b}.
Count [numbers |]{a} to {b}.
Can you count from {a} to {b}
Say [the|all] numbers from {a} to {b}.
What are the numbers from {a} to {b}
How do you count from {a} to {b}
Tell me the numbers from {a} to {b}.
List the numbers from {a} to {b}.
Start at {a} and count to {b}.
Start from {a} and count up to {b}.
Write the numbers from {a} to {b}.
""",
    ),
    "counting.bigger": (
        ("{c} is bigger than {d}.", "{c}", "{c} is bigger", "It is {c}"),
        """
Which is bigger, {a} or {b}
Which number is bigger, {a} or {b}
What is bigger, {a} or {b}
Is {a} or {b} bigger
{a} or {b}, [which|what] is bigger
{a} and {b}: which one is bigger
Tell me which is bigger, {a} or {b}.
Which one is the bigger number, {a} or {b}
Look at {a} and {b}. Which [one |]is bigger
Of {a} and {b}, which [one |]is bigger
""",
    ),
    "counting.smaller": (
        ("{c} is smaller than {d}.", "{c}", "{c} is smaller", "It is {c}"),
        """
Which is smaller, {a} or {b}
Which number is smaller, {a} or {b}
What is smaller, {a} or {b}
Is {a} or {b} smaller
{a} or {b}, [which|what] is smaller
{a} and {b}: which one is smaller
Tell me which is smaller, {a} or {b}.
Which one is the smaller number, {a} or {b}
Look at {a} and {b}. Which [one |]is smaller
Of {a} and {b}, which [one |]is smaller
""",
    ),
    "opposites.word": (
        ("The opposite of {w} is {o}.", "{o}", "It is {o}", "{o} is the opposite of {w}"),
        """
What is the opposite of {w}
What is the opposite of the word {w}
Tell me the opposite of {w}.
What word is the opposite of {w}
Which word is the opposite of {w}
Do you know the opposite of {w}
Opposite of {w}
Say the opposite of {w}.
The opposite of {w} is what
Write the opposite of {w}.
Give me the opposite of {w}.
{w_cap} is the opposite of which word
What does {w} have as its opposite
If it is not {w}, what is it
Give me the word that is the opposite of {w}.
""",
    ),
    "categories.kind": (
        ("{x_cap} is {c}.", "{c}", "It is {c}", "{c_bare}"),
        """
What is {x}
What kind of thing is {x}
What sort of thing is {x}
What type of thing is {x}
Tell me what {x} is.
Tell me what kind of thing {x} is.
Do you know what {x} is
Do you know what kind of thing {x} is
What [would|do] you call {x}
{x_cap} is what
{x_cap} is what kind of thing
[Which kind of thing|What kind of word] is {x}
""",
    ),
    "categories.either": (
        ("{x_cap} is {c}.", "{c}", "It is {c}", "{c_bare}"),
        """
Is {x} {c1} or [is it |]{c2}
What is {x}, {c1} or {c2}
What kind of thing is {x}, {c1} or {c2}
{x_cap}: {c1} or {c2}
{c1_cap} or {c2}: what is {x}
[Tell me|Say] if {x} is {c1} or {c2}.
Do you know if {x} is {c1} or {c2}
[Would|Can] you call {x} {c1} or {c2}
Which is {x}, {c1} or {c2}
{x_cap} is what, {c1} or {c2}
Do you call {x} {c1} or {c2}
""",
    ),
    "categories.yesno": (
        ("{yes}, {x} is {c}.", "{yes}", "{x_cap} is {c}", "{yes}, it is {c}"),
        """
Is {x} {d}
Is {x} really {d}
Is {x} also {d}
{x_cap} is {d}, [right|is it not]
[Would|Can] you call {x} {d}
Do you call {x} {d}
[Tell me|Say], is {x} {d}
Do you think {x} is {d}
Can [you|I] say {x} is {d}
Is it [true|right] that {x} is {d}
""",
    ),
    "categories.which": (
        ("{x_cap} is {c}.", "{x}", "{x_bare}", "It is {x}", "The {x_bare}"),
        """
Which of these is {c}: {list}
Which one is {c}: {list}
Which word is {c}: {list}
What is {c} here: {list}
{list}: which one is {c}
{list}: which of these is {c}
{list}. Which [word |]is {c}
Find {c} [in this list|here]: {list}
Look at {list}. Which [one |]is {c}
Which is {c}: {list}
Tell me which is {c}: {list}
Of {list}, which one is {c}
""",
    ),
}
