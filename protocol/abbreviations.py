"""Words that end in a point without ending a sentence, in lower case and without the point.

Only ones that hardly ever end a sentence, or that cost nothing when they do: a clause that is not cut at them is cut a
little later. ``NUMBERED`` ones count before a number only ("No. 5", but "No. I will not").
"""

_ENGLISH = """
    adm al approx apt assn ave bldg blvd brig bros ca capt cf cmdr co col comdr corp cpl dept dist div dr ed eds esp
    est ext ft gen gov hon hr hwy inc jr lt ltd maj messrs mr mrs ms mt prof pvt rd ref rep rev sec sgt sq sr st ste
    supt tel univ viz vs
    jan feb apr jun jul aug sep sept oct nov dec tue tues wed thu thur thurs
"""
_VIETNAMESE = "bs cn đc đt gs hs htx ks kts ls nxb pgs ptth sđt stt thpt ths tnhh tp tr ts ubnd vnđ"
_EUROPEAN = " bzw cie dipl evtl frl geb ggf inkl ing mgr mlle mme mmes nr sig sra srta str usw"

ABBREVIATIONS = frozenset((_ENGLISH + _VIETNAMESE + _EUROPEAN).split())
_NUMBERED = """
    art ch chap eq fig figs no nos nr num op p par pp q sect số tab vol
"""
NUMBERED = frozenset(_NUMBERED.split())
