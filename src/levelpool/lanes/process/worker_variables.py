"""
Which environment variables reach worker processes: what holds a secret stays out, for what parses other people's files has no use for a password.

A variable is judged by its value, whatever it is called (a URL with a password in it, a private key, a token of a known kind), and then by its
name together with its value: `DB_PASS` holds a password, `PASSWORD_MIN_LENGTH=8` a number, `PARTITION_KEY=region` a word. The rules of a program
come last: a name, or a pattern with `*`, lets a variable through, and with a minus before it keeps one back; the last one that fits decides.
"""

import fnmatch
import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

OURS = frozenset(
    {
        "LEVELPOOL_DATABASE_URL",
        "LEVELPOOL_ALERT_URLS",
        "LEVELPOOL_WEBHOOK_URLS",
        "LEVELPOOL_WEBHOOK_SECRET",
        "LEVELPOOL_ADMIN_TOKEN",
        "LEVELPOOL_TOKEN",
    }
)
"""Of levelpool's own variables those that no task needs."""


def worker_environment(environ: Mapping[str, str], rules: Sequence[str] = ()) -> dict[str, str]:
    """*environ* as workers find it."""
    return {name: value for name, value in environ.items() if _why_withheld(name, value, tuple(rules)) is None}


def withheld_variables(environ: Mapping[str, str], rules: Sequence[str] = ()) -> dict[str, str]:
    """The names of those variables that workers do not find, each with the reason; no values."""
    reasons = ((name, _why_withheld(name, value, tuple(rules))) for name, value in sorted(environ.items()))
    return {name: reason for name, reason in reasons if reason is not None}


def _why_withheld(name: str, value: str, rules: tuple[str, ...]) -> str | None:
    for rule in reversed(rules):
        if fnmatch.fnmatchcase(name, rule.removeprefix("-")):
            return f"the rule {rule}" if rule.startswith("-") else None
    return _why_secret(name, value)


@functools.lru_cache(maxsize=1024)
def _why_secret(name: str, value: str) -> str | None:
    if not value:
        return None
    if name in OURS:
        return "a secret of levelpool"
    what = next((what for what, is_in in _KINDS if is_in(value)), None)
    if what is not None:
        return f"its value has {what}"
    return _by_name(name, value)


# ---------------------------------------------------------------- by its value

# Each begins with something fixed, and what repeats before something else has a bound: a value of any length is judged in time in proportion to it.
_URL_PASSWORD = re.compile(r"(?<=[a-zA-Z0-9])://[^/\s:@?#]{0,1024}:(?!\d{1,5}(?:[/?#]|$))[^\s@]{1,4096}@")
_URL_USER = re.compile(r"(?<=[a-zA-Z0-9])://([\w.~%-]{16,4096})@")
_SECRET_FIELD = re.compile(
    r"(?:^|[\s?&;,{\"'])(?:[\w.-]*(?:password|passwd|passphrase|secret|token|api[-_]?key|access[-_]?key|account[-_]?key|signature)|pwd|pass|sig|authkey)"
    r"[\"']?\s?[=:]\s?[\"']?[^\s\"'&;,]{3}",
    re.IGNORECASE,
)
_AUTHORIZATION = re.compile(r"\b(?:bearer|basic)[ :]\s?[\w.~+/=-]{8,}", re.IGNORECASE)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY")
_JSON_WEB_TOKEN = re.compile(r"\beyJ[\w-]{8,4096}\.[\w-]{8,65536}\.")
_KNOWN_TOKEN = re.compile(
    r"\b(?:gh[opsur]_\w{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|xox[abeprs]-[\w-]{8,}|(?:sk|rk|pk|whsec)_(?:live|test)_\w{4,}|sk-[\w-]{16,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{12,}|AIza[\w-]{30,}|ya29\.[\w-]{16,}|hf_\w{16,}|npm_\w{16,}|pypi-\w{16,}|dop_v1_\w{16,}|SG\.[\w-]{8,}\.[\w-]{8,}"
    r"|shp(?:at|ca|pa|ss)_\w{16,}|\d{8,10}:[\w-]{35})"
)
_WEBHOOK = re.compile(
    r"https://(?:hooks\.slack\.com/|(?:\w+\.)?discord(?:app)?\.com/api/webhooks/|[\w.-]*webhook\.office\.com/|api\.telegram\.org/bot)"
)


def _has_url_token(value: str) -> bool:
    found = _URL_USER.search(value)
    return found is not None and _is_opaque(found[1])


_KINDS: Sequence[tuple[str, Callable[[str], object]]] = (
    ("a URL with a password in it", _URL_PASSWORD.search),
    ("a URL with a token in it", _has_url_token),
    ("a field for a secret", _SECRET_FIELD.search),
    ("an authorization", _AUTHORIZATION.search),
    ("a private key", _PRIVATE_KEY.search),
    ("a JSON web token", _JSON_WEB_TOKEN.search),
    ("a token of a known kind", _KNOWN_TOKEN.search),
    ("the address of a webhook, which is its secret", _WEBHOOK.match),
)

# ---------------------------------------------------------------- by its name and its value


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SURE = _words(
    "PASSWORD PASSWORDS PASSWD PASSPHRASE PASSCODE PASS PW PWD SECRET SECRETS TOKEN TOKENS CREDENTIAL CREDENTIALS CRED CREDS BEARER PSK "
    "APIKEY APIKEYS SECRETKEY ACCESSKEY PRIVATEKEY AUTHORIZATION"
)
"""Words that mean a secret, unless what stands around them, or the value, says otherwise."""
_PERHAPS = _words("KEY KEYS AUTH SIGNATURE SALT COOKIE COOKIES JWT PAT DSN PIN")
"""Words that may mean one: the value has to look like it."""
_ENDINGS = ("PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "TOKEN", "APIKEY", "SECRETKEY", "ACCESSKEY", "CREDENTIALS", "PASS", "PWD")
"""What a word may end with, `PGPASSWORD`, `SSHPASS`."""
_NO_ENDINGS = _words("COMPASS BYPASS TRESPASS SURPASS OVERPASS UNDERPASS ENCOMPASS OLDPWD")
_VARIANTS = _words(
    "LIVE TEST PROD PRODUCTION STAGING STAGE DEV DEVELOPMENT SANDBOX QA UAT LOCAL CI BASE ID VALUE OLD NEW CURRENT PREVIOUS PREV NEXT PRIMARY SECONDARY "
    "MAIN DEFAULT BACKUP ROOT ADMIN RO RW READ WRITE B64 BASE64 JSON PEM HEX ENC ENCRYPTED PLAIN RAW TEXT STRING STR FALLBACK FALLBACKS"
)
"""Words behind it that change nothing: `STRIPE_KEY_LIVE`."""
_ABOUT_IT = _words(
    "NAME FIELD COLUMN HEADER PREFIX SUFFIX FORMAT TYPE ALGORITHM ALG POLICY REQUIRED ENABLED DISABLED PROVIDER BACKEND CLASS MODE HASHER HASHERS VALIDATORS "
    "REGEX PATTERN CHARSET URL URI ENDPOINT HOST PORT ISSUER AUDIENCE SERVICE SERVER STORE MANAGER ROTATION RESET VERSION LABEL DESCRIPTION SOURCE STRATEGY "
    "SCOPE SCOPES GRANT LOCATION PARALLELISM BUCKET THROUGH ARN REGION FILE FILES PATH PATHS DIR FOLDER SOCK DOMAIN REALM PROFILE HINT RULES SECURE SAMESITE HTTPONLY"
)
"""Words behind it that say: this is about a secret, and none."""
_AMOUNTS = _words(
    "MAX MIN NUM NUMBER COUNT LIMIT LENGTH LEN SIZE TTL TIMEOUT EXPIRY EXPIRES EXPIRE EXPIRATION AGE LIFETIME DURATION PER RATE BUDGET COST"
)
_ORDINARY = {
    "TOKEN": _words("PAD EOS BOS UNK MASK SEP CLS STOP SPECIAL END START EXTRA IMAGE PUBLIC"),
    "PASS": _words("FIRST SECOND SINGLE MULTI ONE TWO LOW HIGH BAND ALL"),
    "KEY": _words(
        "PARTITION SORT PRIMARY FOREIGN CACHE GROUP GROUPING ORDER ORDERING HASH RANGE ROUTING INDEX LOOKUP UNIQUE NATURAL SURROGATE JOIN PUBLIC FEATURE CONFIG "
        "MESSAGE OBJECT DEDUP DEDUPLICATION IDEMPOTENCY SHARD SHARDING CLUSTER CLUSTERING COLUMN ROW DISTRIBUTION METRIC TRANSLATION QUEUE LOCK STATE MAP "
        "SEARCH COMPOSE HOT SHORTCUT REGISTRY BUSINESS COMPOSITE COMPOUND MERGE MATCH BUCKET TOPIC FILE IMAGE TAG LABEL"
    ),
}
"""Words before it with which it means something else."""
_SECRET_KEYS = _words(
    "API ACCESS SECRET PRIVATE SIGNING SIGN ENCRYPTION ENCRYPT DECRYPTION CRYPTO CIPHER AES RSA MASTER AUTH SERVICE ACCOUNT LICENSE FERNET JWT HMAC WEBHOOK "
    "CLIENT DEPLOY STORAGE SHARED SUBSCRIPTION HOST APP APPLICATION INTEGRATION INGEST INSTRUMENTATION ADMIN ROOT CONSUMER SSH GPG PGP TLS SSL"
)
_SWITCH = re.compile(r"true|false|yes|no|on|off|none|null|auto|default|enabled|disabled", re.IGNORECASE)
_AMOUNT = re.compile(r"[\d.,_]+ ?[a-zA-Z%]{0,8}")
_PATH = re.compile(r"(?:~|\.{1,2})?(?:/[\w.@ -]+){2,}/?|[\w-]+(?:/[\w.-]+)*/[\w-]+\.\w{1,8}")
_PLAIN_WORDS = re.compile(r"[A-Za-z]+(?:[ _.,:/-]+[A-Za-z]+)*(?:[ _.-]\d{1,2})?")
_USER_AND_PASSWORD = re.compile(r"[^\s:/]+:[^\s:/]+")
_SAYS_SO = re.compile(r"secret|passw|passphrase|change.?me|insecure|private|hidden", re.IGNORECASE)


def _by_name(name: str, value: str) -> str | None:
    words = list(_split(name))
    at = next((at for at in range(len(words) - 1, -1, -1) if words[at] in _SURE or words[at] in _PERHAPS), None)
    # The folder that a shell is in.
    if at is None or words == ["PWD"]:
        return None
    word, before, behind = words[at], words[:at], [each for each in words[at + 1 :] if each not in _VARIANTS and not each.isdigit()]
    is_sure = word in _SURE or _is_secret_key(word, before, has_variant=len(words) - at - 1 > len(behind))
    if _is_said_to_be_harmless(word, before, behind, value):
        return None
    return f"its name says {word}" if is_sure or _looks_secret(word, value) else None


def _split(name: str) -> Iterator[str]:
    for part in re.split(r"[^A-Za-z0-9]+", re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)):
        word = part.upper()
        if not word:
            continue
        bare = word.rstrip("0123456789")
        if word in _SURE or word in _PERHAPS or word in _NO_ENDINGS or not bare:
            yield word
        elif bare in _SURE or bare in _PERHAPS:
            yield bare
        else:
            yield next((ending for ending in _ENDINGS if bare.endswith(ending)), word)


def _is_secret_key(word: str, before: Sequence[str], *, has_variant: bool) -> bool:
    return word in {"KEY", "KEYS"} and bool((before and before[-1] in _SECRET_KEYS) or (has_variant and not _is_ordinary(word, before)))


def _is_ordinary(word: str, before: Sequence[str]) -> bool:
    return bool(before) and before[-1] in _ORDINARY.get(word.removesuffix("S"), ())


def _is_said_to_be_harmless(word: str, before: Sequence[str], behind: Sequence[str], value: str) -> bool:
    if _SWITCH.fullmatch(value) or _is_path(value):
        return True
    if _AMOUNT.fullmatch(value):
        return bool(behind) or word in {"TOKENS", "KEYS"} or any(each in _AMOUNTS for each in before)
    if _is_opaque(value):
        return False
    return _is_ordinary(word, before) or bool(behind and behind[-1] in _ABOUT_IT)


def _looks_secret(word: str, value: str) -> bool:
    if word == "AUTH" and _USER_AND_PASSWORD.fullmatch(value):
        return True
    return bool(_SAYS_SO.search(value)) or not _PLAIN_WORDS.fullmatch(value)


def _is_path(value: str) -> bool:
    return _PATH.fullmatch(value) is not None and not any(_is_opaque(part) for part in value.split("/"))


def _is_opaque(value: str) -> bool:
    """Whether it looks drawn by lot: letters and digits, or large and small letters, in turn."""
    if "://" in value or len(value) < 6:
        return False
    changes = len(re.findall(r"(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])|(?<=[a-z])(?=[A-Z])|(?<=[A-Z][A-Z])(?=[a-z])", value))
    return changes >= max(3, len(value) // 12)
