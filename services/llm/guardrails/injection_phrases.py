"""The phrases of prompt injections, and what each weighs.

A phrase counts once. One that nobody says of a film weighs 1, the default threshold; what film talk may say too weighs
less, and is told apart by the company it is in. Words are written as `plain` leaves them: small, without accents.
"""

from __future__ import annotations

from services.llm.guardrails.phrases import phrase

_DROP = """
ignore ignoring disregard forget override overrule bypass discard neglect abandon dismiss overlook erase omit
unlearn disobey violate circumvent ignorez oublie oubliez ignorer ignora olvida ignorar descarta dimentica esqueca
desconsidere ignoriere ignorier ignorieren vergiss missachte vergesse negeer vergeet
"""
_EARLIER = """
previous prior earlier preceding foregoing original initial existing current above former past system developer safety
your alle vorherigen bisherigen vorigen obigen deine vorherige toutes tes vos precedentes todas tus anteriores tutte tue
precedenti suas previas vorige
"""
_ORDERS = """
instruction instructions instruct prompt prompts directive directives guideline guidelines programming guardrails
safeguards preprompt anweisungen anweisung instruktionen vorgaben consignes instrucciones indicaciones istruzioni
instrucoes instructies systemprompt context
"""
_RULES = """
rules rule orders order commands command restrictions constraints policy policies training regeln regles reglas regole
"""
_SHOW = """
reveal show print repeat output display tell leak dump expose disclose recite paste copy return echo share type write
summarize summarise translate give provide what what's whats list read see know start verrate zeig zeige nenne gib
montre affiche donne muestra dime revela mostra
"""
_OWN = """
your system initial hidden secret original internal developer confidential underlying dein deinen deine ton tes tu tus
"""
_PROMPT = """
prompt prompts instructions instruction directives guidelines preprompt configuration systemprompt anweisungen
"""
_WHOLE = "everything all text words content lines"
_TALK = "you you're pretend act behave roleplay respond answer"
_BE = "you're are pretend act behave roleplay respond answer become simulate imagine"
_UNBOUND = "unrestricted uncensored unfiltered jailbroken unbound amoral"
_NONE = "without no any zero"
_LIMITS = """
restrictions restriction filters filter limitations limitation guidelines guardrails safeguards censorship moderation
ethics morals policies rules limits
"""
_SWITCH_OFF = "bypass circumvent evade disable deactivate override"
_MODE = "developer god debug jailbreak admin sudo dan unrestricted maintenance root dev unfiltered"
_MAKER = "developer administrator creator admin programmer owner operator"

PHRASES = (
    phrase("override", 1.0, 3, _DROP, _EARLIER, _ORDERS),
    phrase("override", 1.0, 3, _DROP, _ORDERS, "above before previously precedentes anteriores precedenti"),
    phrase("override", 1.0, 2, _DROP, "your", _RULES),
    phrase("override", 1.0, 2, "don't not stop", "follow following obey", _EARLIER, _ORDERS + _RULES),
    phrase("override", 1.0, 3, _DROP, "all any these those", _ORDERS),
    phrase("override", 1.0, 2, _DROP, "all any", _EARLIER, _RULES),
    phrase("weak override", 0.6, 3, _DROP, "all any the these those", _ORDERS + _RULES),
    phrase("weak override", 0.6, 3, _DROP, _EARLIER, _RULES),
    phrase("forget all", 0.7, 3, _DROP, "everything anything all the", "above told instructed preceding before said"),
    phrase("forget all", 1.0, 2, _DROP, "what everything anything all", "you you've", "told instructed taught ordered"),
    phrase("forget all", 1.0, 3, _DROP, "all any the", "above preceding", "text message messages content conversation"),
    phrase("reveal", 1.0, 3, _SHOW, _OWN, _PROMPT),
    phrase("reveal", 1.0, 4, _SHOW, _PROMPT, "given told", "you"),
    phrase("reveal", 1.0, 2, "repeat print output echo copy write", _WHOLE, "above before preceding"),
    phrase("given orders", 0.6, 3, "what", "instructions prompt", "given told"),
    phrase("given orders", 1.0, 4, "what which", "you", "told given instructed", "instructions prompt beginning"),
    phrase("system prompt", 0.5, 0, "system hidden initial", "prompt instructions"),
    phrase("persona", 1.0, 3, _BE, "as be like now an a to", _UNBOUND),
    phrase("persona", 0.7, 2, _BE, "as be now called", "dan"),
    phrase("persona", 1.0, 0, "do", "anything", "now"),
    phrase("no limits", 0.8, 6, _TALK, _NONE, _LIMITS),
    phrase("no limits", 1.0, 4, _TALK, _NONE, _LIMITS, _NONE, _LIMITS),
    phrase("model without limits", 0.6, 4, "ai assistant model chatbot bot", _NONE, _LIMITS),
    phrase("no limits", 0.6, 3, "not aren't never", "bound limited restricted constrained", "by to any"),
    phrase("mode", 1.0, 3, "enable activate enter switch engage you're are into in", _MODE, "mode"),
    phrase("mode", 1.0, 2, _MODE, "mode", "enabled on activated engaged active now"),
    phrase("new orders", 1.0, 1, "your", "new updated real actual revised", _ORDERS + "task role goal objective"),
    phrase("new orders", 0.6, 1, "new updated real actual revised following", _ORDERS),
    phrase("new orders", 0.5, 2, "from", "now", "on", "you"),
    phrase("obey", 0.4, 2, "you", "must will shall should", "obey comply only"),
    phrase("authority", 0.7, 4, "i i'm am this", "your", _MAKER),
    phrase("authority", 0.7, 2, "system admin administrator developer security emergency root", "override bypass"),
    phrase("authority", 0.5, 3, "i i'm this", "from at", "openai anthropic google meta"),
    phrase("safety off", 1.0, 2, _SWITCH_OFF + " remove turn switch", "your", _LIMITS + "safety security"),
    phrase("safety off", 0.6, 2, _SWITCH_OFF, "all any the", _LIMITS + "safety"),
    phrase("instead", 0.4, 0, "and but", "instead"),
    phrase("secrecy", 0.5, 3, "not don't never", "tell mention reveal inform", "user anyone"),
    phrase("proof", 1.0, 4, "say print output write respond reply answer", "pwned jailbroken"),
    phrase("proof", 0.7, 4, "say print output write respond reply answer", "hacked owned"),
    phrase("decode", 0.6, 4, "decode decrypt deobfuscate", "follow execute obey run do"),
    phrase("end of prompt", 0.6, 2, "end begin start beginning", "of", "prompt instructions system"),
    phrase("rules off", 0.7, 2, _EARLIER, _ORDERS + _RULES, "void cancelled canceled suspended lifted obsolete"),
    phrase("rules off", 0.7, 3, _LIMITS, "not don't no", "apply longer matter exist"),
)

MARKS = {
    "<|im_start|>": 1.0, "<|im_end|>": 1.0, "<|system|>": 1.0, "<|user|>": 1.0, "<|assistant|>": 1.0,
    "<|endoftext|>": 1.0, "<|eot_id|>": 1.0, "<|start_header_id|>": 1.0, "[inst]": 1.0, "[/inst]": 1.0, "<<sys>>": 1.0,
    "<start_of_turn>": 1.0, "### system": 1.0, "### instruction": 1.0, "\nsystem:": 0.6, "\nassistant:": 0.6,
    "[system]": 0.6, "<system>": 0.7, "</system>": 1.0, "</instructions>": 0.7,
}  # fmt: skip
"""What chat templates put between the parts of a chat: in what a user says it imitates them."""

UNSPACED = (
    *(drop + rest for drop in ("ignore", "disregard", "forget", "override")
      for rest in ("previous", "allprevious", "prior", "allprior", "above", "yourinstructions", "allinstructions")),
    "systemprompt", "yourinstructions",
)  # fmt: skip
"""The commonest beginnings as they look when letters were spaced and have been joined."""
