"""How people say genres. Each line of the table is a way of saying; what it means depends on the catalog's genres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from services.gateway.search.typos import Spellings
from services.gateway.search.words import bag, by_first_word, phrase, table_of

OTHER_NAMES: Mapping[str, tuple[str, ...]] = {
    "Children's": ("Children", "Kids", "Family"),
    "Film-Noir": ("Noir", "Film Noir"),
    "Musical": ("Musicals",),
    "Romance": ("Romantic",),
    "Sci-Fi": ("Science Fiction", "SciFi", "Science-Fiction"),
    "Thriller": ("Suspense",),
}
"""What other catalogs call the genres of this table."""

NAMES = table_of("""
Action: action; action packed; adrenaline; shoot em up; fast paced
Adventure: adventure; adventurous; swashbuckler; swashbuckling; expedition; quest
Animation: animation; animated; cartoon; anime; claymation; stop motion; hand drawn; puppet animation
Children's: childrens; kid friendly; family friendly; the family; the whole family; the entire family; toddler
Children's: grandchildren; grandkids; year old; years old; little ones; youngsters
Comedy: comedy; comic; comedic; comical; funny; funnier; fun; hilarious; humorous; humor; humour; laugh; laughs
Comedy: laughing; laughter; lighthearted; light hearted; something light; feel good; feelgood; silly; goofy
Comedy: slapstick; parody; spoof; satire; satirical; farce; joke; witty; screwball; amusing; cheer me up
Comedy: cheers me up; gag; laugh out loud; make me laugh; makes me laugh
Crime: crime; criminal; true crime
Documentary: documentary; docu; docs; nonfiction; non fiction; real people
Drama: drama; dramatic; melodrama; melodramatic; tearjerker; tear jerker; weepie; weepy; sad; saddest; heartbreaking
Drama: heart breaking; tragic; tragedy; emotional; cry; make me cry; makes me cry; cry over; bittersweet; poignant
Drama: sobbing; tears
Fantasy: fantasy; fantastical; magical
Film-Noir: film noir; noir; noirish; neo noir
Horror: horror; scary; scariest; scarier; frightening; terrifying; creepy; spooky; spine chilling; scare; scare me
Horror: scares me; scared; gory; gore; keeps me awake at night; keep me awake at night; nightmares
Musical: musical; singing and dancing; song and dance; people singing; singing all the time
Mystery: mystery; whodunit; whodunnit; who done it; who did it; mysterious; murder mystery
Romance: romance; romantic; love story; love stories; date night; date movie; chick flick; fall in love
Romance: falls in love; falling in love
Sci-Fi: sci fi; scifi; sf; science fiction; futuristic; cyberpunk; space opera
Thriller: thriller; thrilling; suspense; suspenseful; tense; gripping; edge of your seat; edge of my seat; nail biter
Thriller: nail biting
War: war; wartime; war torn
Western: western; spaghetti western
""")
"""Words that are the genre: nothing of them is left to search for."""

SUBJECTS = table_of("""
Action: martial arts; kung fu; karate; ninja; superhero; car chase; explosion; commando
Adventure: pirate; treasure; jungle; explorer; shipwreck
Animation: disney; pixar
Comedy: mistaken identity
Crime: gangster; mafia; mob; mobster; heist; bank robbery; robbery; bank robber; robber; con man; con men; con artist
Crime: drug lord; drug dealer; underworld; thief; thieves; burglar; yakuza
Drama: courtroom; terminal illness; coming of age
Fantasy: wizard; sorcerer; dragon; magic; magician; unicorn; elf; elves; fairy tale; fairy
Film-Noir: femme fatale; hard boiled
Horror: zombie; vampire; werewolf; ghost; monster; haunted; demon; exorcism; slasher; possessed; undead; dracula
Horror: frankenstein
Musical: broadway; tap dance
Mystery: detective; sleuth; sherlock holmes; agatha christie; private detective; murderer; unsolved
Sci-Fi: space; outer space; spaceship; spaceships; alien; robot; time travel; time machine; android; cyborg; mars
Sci-Fi: planet; galaxy; astronaut; ufo; dystopian; dystopia; post apocalyptic; mad scientist; artificial intelligence
Thriller: serial killer; spy; espionage; conspiracy; hostage; paranoid; assassin; psychological
War: world war; world war two; world war ii; world war 2; second world war; first world war; wwii; ww2; wwi; vietnam
War: soldier; battlefield; d day; nazi; trenches; platoon
Western: cowboy; wild west; gunslinger; sheriff; saloon; outlaw; gunfighter
""")
"""Subjects that say the genre, and are searched for as well."""

BOTH = table_of("""
Romance, Comedy: romcom; rom com
Drama, Comedy: dramedy; tragicomedy
""")
"""Words for two genres at once."""

ONLY_UNWANTED = table_of("Horror, War: violent; violence; brutal; bloody; blood; graphic")
"""Words that say something only where they are unwanted."""

AUDIENCE = table_of("Children's: kid; child; children; family; teenager")
"""Children's, but only as an audience: "for kids", "family films", and not "a film about a family"."""


@dataclass(frozen=True, slots=True)
class Saying:
    """One way to say genres."""

    genres: tuple[str, ...]
    subject: bool = False
    unwanted_only: bool = False
    audience: bool = False


class Sayings:
    """Ways to say the genres of one catalog, by their words."""

    def __init__(self, table: Mapping[tuple[str, ...], Saying]) -> None:
        self.table = table
        self.phrases = by_first_word(table.keys())
        self._spellings = Spellings(" ".join(words) for words in table if len(words) <= 2)

    def meant_by(self, written: str) -> Saying | None:
        """The saying of one or two words that was meant by these with a typo in them.

        The first letter has to be right, and a short word's other letters too, if not in their places or number.
        """
        near = None if written in _NO_TYPOS else self._spellings.near(written)
        if near is None or near[0] != written[0] or (len(near) == len(written) < 7 and sorted(near) != sorted(written)):
            return None
        return self.table[tuple(near.split())]


_NO_TYPOS = bag("auction mastery scarf sacred cartons moment westerner funk lovely spaced")
"""Words one letter away from a saying that mean something else."""


def sayings_for(genres: Sequence[str]) -> Sayings:
    """The ways to say these genres: those of the table, and the names the catalog gives them."""
    spelled = _spellings_of(genres)
    own = {name: [phrase(name)] for name in genres}
    kinds = (
        (NAMES, Saying(())),
        (SUBJECTS, Saying((), subject=True)),
        (BOTH, Saying(())),
        (ONLY_UNWANTED, Saying((), unwanted_only=True)),
        (AUDIENCE, Saying((), audience=True)),
        (own, Saying(())),
    )
    table: dict[tuple[str, ...], Saying] = {}
    for says, kind in kinds:
        for meant, phrases in says.items():
            known = tuple(spelled[genre] for genre in meant.split(", ") if genre in spelled)
            for words in phrases if known else ():
                table |= dict.fromkeys((words, *_plurals(words)), replace(kind, genres=known))
    return Sayings(table)


def _spellings_of(genres: Sequence[str]) -> dict[str, str]:
    """The catalog's spelling of each genre of the table that it has, and of its own."""
    by_words = {phrase(name): name for name in genres}
    spelled = {name: name for name in genres}
    for genre in NAMES:
        names = (phrase(name) for name in (genre, *OTHER_NAMES.get(genre, ())))
        found = next((by_words[words] for words in names if words in by_words), None)
        if found is not None:
            spelled.setdefault(genre, found)
    return spelled


def _plurals(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    *rest, last = words
    if last.endswith("y") and last[-2:-1] not in "aeiou":
        return [(*rest, last[:-1] + "ies")]
    return [(*rest, last + ("es" if last.endswith(("s", "x", "ch", "sh")) else "s"))]
