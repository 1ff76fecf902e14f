"""Links that lead nowhere public, or are no links: neither intake nor a webhook may follow one."""

# What is refused as it is written, because it names an address that is not public, or cannot be followed at all.
HOSTILE = (
    "http://example.org/a.jpg",
    "file:///etc/passwd",
    "https://user:password@example.org/",
    "https://",
    "https://example.org:99999/",
    "https://example.org:-1/",
    "https://example.org:port/",
    "https://exam\0ple.org/",
    "https://127.0.0.1/",
    "https://0177.0.0.1/",
    "https://2130706433/",
    "https://0x7f.1/",
    "https://127.1/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://10.0.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://224.0.0.1/",
    "https://0.0.0.0/",
    "https://[fe80::1%25eth0]/",
)
# What only looking up the name shows.
HOSTILE_NAMES = ("https://localhost/",)
