"""The preset dictionary of DEFLATED records: part of the wire, never changed.

Learned by tests/vectors/learn_dictionary.py from orders and visits of many devices.
"""

from base64 import b64decode

DICTIONARY = b64decode(
    "1wo9cI9cKPUGASgA64UeuMKPXCij1wo94UeuFK4UeuFlAXcCBQEoAAF3C2dszMzMzM09cKPXCgF3CG9hbmlvbnce"
    "uFHrhQJ3CG5vc2hvdIdzaG90d21pbGuHAncKZXhuaW9uhyj1wo9cFHrhR65mcmVlhwo9cKPXaWMBdwJvZHMAh2Vy"
    "AXxAZXIBfD8GBXByaQYEbW9kBgRpdGUGA3F0eQQBdwlwACcBBm8AB3NlcgAGc3RhAAZzY2gABnBsYQAFdG90AAVs"
    "aW4ABWtpbwAEbm90ZQF3AzFhAXw/gHR5AXw/fEAAAAAnAARuYW1lAXdtb2RzACgAb3NrAXcBQigABXB1bHNlAXcG"
    "d2VpZ2h0AXcGdml0YWxzAQAGb3h5Z2VuAXdvc2sBdwFDKAAIc3lzdG9saWMBdwMxb3NrAXcBQSgACWRpYXN0b2xp"
    "YwFub3RlAXcAKAAnAQhwYXRpZW50cxgEaXRlbQF3BVNhbGFkKAAEaXRlbQF3BkJ1cmdlcigABGl0ZW0BdwVGcmll"
    "cygAdwhvYXQgbWlsa3cIbm8gb25pb24EaXRlbQF3BVdhdGVyKABzdG9saWMBdwNxdHkBfEBAAAAoC3RlbXBlcmF0"
    "dXJlAXcBfD+AAAAoAAAGbnVtYmVyAXwAAAAAKHcKZXh0cmEgc2hvdARpdGVtAXcKQ2FwcHVjY2lubygABG1vZHMA"
    "CAAEaXRlbQF3CEVzcHJlc3NvKAAEaXRlbQF3Ck1hcmdoZXJpdGEoAANxdHkBfECAAAAoAHcLZ2x1dGVuIGZyZWUE"
    "aXRlbQF3CExlbW9uYWRlKABjaGVtYQF8QAAAAAF3BGRvbmUBBG5vdGUBdwp0byB0YWJsZSA0KAAEbm90ZQF3EGFs"
    "bGVyZ2ljIHRvIG51dHMoAGVydmljZQF3BGhlcmUoAAV0b3RhbAF7QAVwcmljZQF7QAZudW1iZXIBfAVsaW5lcwAH"
    "AAVraW9zawF3AQF3BXJlYWR5AWVydmljZQF3BGF3YXkoACcBBm9yZGVycxgHc2VydmljZQF3BAZzY2hlbWEBfAZw"
    "bGFjZWQBe0J6AXcJcHJlcGFyaW5nAQZzdGF0dXMBdwRvcGVuJwA="
)
