//! Texts that must not leave a machine: of each kind several, drawn with a seed.

/// A text as it may come in, and the part of it that must be gone.
#[derive(Debug, Clone)]
pub(crate) struct Planted {
    pub(crate) kind: &'static str,
    pub(crate) text: String,
    pub(crate) secret: String,
}

/// Numbers that are the same each time (`SplitMix64`).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn draw(&mut self, alphabet: &str, length: usize) -> String {
        let letters: Vec<char> = alphabet.chars().collect();
        (0..length).map(|_| letters[self.below(letters.len())]).collect()
    }
}

const SMALL: &str = "abcdefghijklmnopqrstuvwxyz";
const DIGITS: &str = "0123456789";
const HEX: &str = "0123456789abcdef";
const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Beginnings of keys, what stands behind them and how much of it.
const KEYS: [(&str, &str, usize); 42] = [
    ("hf_", LETTERS, 34),
    ("AIza", LETTERS, 35),
    ("nvapi-", LETTERS, 64),
    ("ASIA", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16),
    ("AKIA", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16),
    ("r8_", LETTERS, 37),
    ("gsk_", LETTERS, 52),
    ("xai-", LETTERS, 80),
    ("pplx-", LETTERS, 48),
    ("xapp-1-A0123-", DIGITS, 13),
    ("xoxb-", "0123456789abcdefABCDEF-", 40),
    ("xoxp-", DIGITS, 40),
    ("ghp_", LETTERS, 36),
    ("github_pat_", LETTERS, 60),
    ("glpat-", LETTERS, 20),
    ("npm_", LETTERS, 36),
    ("pypi-AgEIcHlwaS5vcmc", LETTERS, 60),
    ("sk-proj-", LETTERS, 48),
    ("sk-ant-api03-", LETTERS, 90),
    ("sk-or-v1-", HEX, 64),
    ("eyJhbGciOiJIUzI1NiJ9.eyJ", LETTERS, 60),
    ("tskey-auth-", LETTERS, 24),
    ("dckr_pat_", LETTERS, 27),
    ("hvs.", LETTERS, 90),
    ("SG.", LETTERS, 66),
    ("sk_live_", LETTERS, 24),
    ("dop_v1_", HEX, 64),
    ("lsv2_pt_", HEX, 32),
    ("pcsk_", LETTERS, 60),
    ("tgp_v1_", LETTERS, 43),
    ("fw_", LETTERS, 24),
    ("csk-", LETTERS, 48),
    ("ya29.", LETTERS, 60),
    ("GOCSPX-", LETTERS, 28),
    ("glsa_", LETTERS, 32),
    ("dapi", HEX, 32),
    ("ATATT3", LETTERS, 60),
    ("AGE-SECRET-KEY-1", "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58),
    ("shpat_", HEX, 32),
    ("ntn_", LETTERS, 46),
    ("xkeysib-", HEX, 64),
    ("", LETTERS, 40),
];

/// What stands around a secret that only its name gives away; `@` is the secret.
const NAMED: [&str; 54] = [
    "PGPASSWORD=@",
    "MY_SERVICE_TOKEN=@",
    "A_KEY_B=@",
    "export OPENAI_API_KEY='@'",
    "{\"api_key\": \"@\", \"n\": 3}",
    "{\"api_keys\": [\"@\"]}",
    "{\\\"apiKey\\\":\\\"@\\\"}",
    "{'password' => '@'}",
    ":secret => \"@\"",
    "password: @",
    "api_key := @",
    "https://@@example.org/v1",
    "https://me:@@example.org/v1",
    "postgres://me:@@db/x",
    "Authorization: Bearer @",
    "authorization: Basic @",
    "-H 'X-Api-Key: @'",
    "-hft @",
    "--hf-token @",
    "--api-key @",
    "--api-key=@",
    "curl -u me:@ https://example.org",
    "set -x HF_TOKEN @",
    "setenv HF_TOKEN @",
    "machine example.org login me password @",
    "?access_token=@&x=1",
    "Cookie: session=@",
    "client_secret=@",
    "--model_args base_url=http://h,api_key=@,model=m",
    "-----BEGIN OPENSSH PRIVATE KEY-----\n@\n-----END OPENSSH PRIVATE KEY-----",
    "-----BEGIN RSA PRIVATE KEY-----\\n@\\n-----END RSA PRIVATE KEY-----",
    "DefaultEndpointsProtocol=https;AccountKey=@;x=1",
    "\"token\" : \"@\"",
    "passphrase=\"@\"",
    "Command '['vllm', 'serve', '--api-key', '@']' returned non-zero exit status 1.",
    "[\"llama-server\", \"--hf-token\", \"@\"]",
    "{\"name\":\"HF_TOKEN\",\"value\":\"@\"}",
    "- name: OPENAI_API_KEY\n  value: @",
    "Config { api_key: Some(\"@\") }",
    "api_key=SecretStr('@')",
    "{\"password\": \"ab'@\"}",
    "{\"password\": \"ab\\\"@\"}",
    "\"api_key\":\n\"@\"",
    "api_key1=@",
    "hftoken=@",
    "WIFI_PSK=@",
    "JWT=@",
    "Authorization:\tBearer\t@",
    "(b'x-api-key', b'@')",
    "headers.set(\"X-Api-Key\", \"@\")",
    "sshpass -p @ ssh box",
    "the password is @ today",
    "pass:[x / HF_TOKEN=@ /'x",
    "KEY=password:a @ x",
];

/// Paths in all forms; `@` is the name of a directory.
const PATHS: [&str; 29] = [
    "/mnt/@/m.gguf",
    "-m/mnt/@/m.gguf",
    "-m /mnt/@/m.gguf",
    "--model=/mnt/@/m.gguf",
    "PATH=/usr/bin:/mnt/@/bin",
    "load_model:/mnt/@/m.gguf",
    "file:///mnt/@/m.gguf",
    "~/@/m.gguf",
    "$HOME/@/m.gguf",
    "${HOME}/@/m.gguf",
    "../@/m.gguf",
    "./@/m.gguf",
    "C:\\Users\\@\\m.gguf",
    "{\"file\": \"C:\\\\Users\\\\@\\\\m.gguf\"}",
    "'/mnt/@/a b/m.gguf'",
    "\"/mnt/My @/m.gguf\"",
    "cannot open /mnt/My @/m.gguf: no such file",
    "/mnt/@\\ x/m.gguf",
    "/run/media/@/disk/m.gguf",
    "/opt/@/m.gguf",
    "models/@/m.gguf",
    "@/m.gguf",
    "(/srv/@/m.gguf)",
    "/data/@/m.gguf:12:3: error",
    "[/home/@/x]",
    "http://nas.local:8080/@/m.gguf",
    "HOME=/home/@",
    "-v /home/@:/work",
    "{\"t\":\"line\\n/mnt/@/m.gguf\"}",
];

/// Addresses and what else tells a machine; `4` is a number, `#` a hexadecimal digit, `%` a
/// capital one.
const MACHINES: [&str; 24] = [
    "on 192.168.44.4 port",
    "192.168.4.44:8080",
    "10.4.44.4.",
    "host=172.16.4.44",
    "inet 203.0.113.4/24",
    "http://100.64.4.44:8080/x",
    "ip192.168.44.44",
    "listening on 198.51.100.44:80",
    "fe80::####:##ff:fe##:####",
    "[2001:db8:####::####]:443",
    "inet6 fd##:####:####::1/64",
    "52:54:00:##:##:##",
    "ether 52-54-00-##-##-##.",
    "5254.00ab.####",
    "enx525400######",
    "dev_52_54_00_##_##_##",
    "mac=525400######",
    "52540A%%%%%4",
    "########-####-4###-a###-############",
    "luks-########-####-4###-a###-############.",
    "machine-id: ################################",
    "Serial Number: PF44%%%4%%",
    "ID_SERIAL_SHORT=S6Z%NJ0W44%%%4",
    "nvme-Samsung_SSD_990_PRO_S6Z%NJ0W44%%%4",
];

/// The user of the machine, of whom halo knows.
pub(crate) const USER: &str = "xq";

/// Every planted text.
pub(crate) fn all(seed: u64) -> Vec<Planted> {
    let mut numbers = Numbers(seed);
    let mut all = Vec::new();
    for round in 0..3 {
        for (begin, alphabet, length) in KEYS {
            // A key without digits and capitals would be a word.
            let secret = format!("{begin}{}A7{}", numbers.draw(alphabet, length - 2), "");
            let secret = if alphabet == HEX || alphabet == DIGITS {
                format!("{begin}{}", numbers.draw(alphabet, length))
            } else {
                secret
            };
            let kind = if begin.is_empty() { "random" } else { begin };
            let text = match round {
                0 => secret.clone(),
                1 if kind == "hf_" => format!("{{\"t\":\"key\\n{secret}\\n\"}}"),
                1 => format!("using {secret}, as told"),
                // Colours and what has no width stand within it.
                _ => {
                    let (one, other) = secret.split_at(secret.len() / 2);
                    format!("key \u{1b}[1;31m{one}\u{1b}[0m\u{200b}{other}\u{1b}[m end")
                }
            };
            all.push(Planted { kind, text, secret });
        }
        for form in NAMED {
            let secret = format!("zq{}", numbers.draw(&format!("{SMALL}{DIGITS}"), 14));
            all.push(Planted {
                kind: form,
                text: form.replacen("@@", &format!("{secret}@"), 1).replacen(
                    '@',
                    &secret,
                    usize::from(!form.contains("@@")),
                ),
                secret,
            });
        }
        for form in PATHS {
            let secret = format!("Zq{}", numbers.draw(SMALL, 9));
            all.push(Planted { kind: form, text: form.replace('@', &secret), secret });
        }
        for form in MACHINES {
            let mut text = String::new();
            for c in form.chars() {
                match c {
                    '4' => text.push_str(&numbers.draw("123456789", 1)),
                    '#' => text.push_str(&numbers.draw(HEX, 1)),
                    '%' => text.push_str(&numbers.draw("ABCDEF23456789", 1)),
                    other => text.push(other),
                }
            }
            // The word with the most digits is what tells.
            let words = text.split(|c: char| c.is_whitespace() || "=[]()/,\"".contains(c));
            let digits = |word: &&str| word.chars().filter(char::is_ascii_hexdigit).count();
            let word = words.max_by_key(digits).unwrap().trim_end_matches(['.', ':']);
            let begins = ["enx", "ip", "luks-", "dev_"];
            let word = begins.iter().find_map(|begin| word.strip_prefix(begin)).unwrap_or(word);
            let secret = word.split(":80").next().unwrap().to_owned();
            all.push(Planted { kind: form, text, secret });
        }
    }
    for form in ["hello @ there", "/home/@", "@'s model", "user=@", "drwx @ users", "@_model.gguf"]
    {
        for name in [USER, "XQ", "Xq"] {
            all.push(Planted {
                kind: "user",
                text: form.replace('@', name),
                secret: form.replace('@', name),
            });
        }
    }
    for (kind, text, secret) in [
        ("account", "mail somebody@example.org now", "somebody@example.org"),
        ("account", "somebody@box:~$ ls", "somebody@box"),
        ("host", "connect to nas-of-zq.local.", "nas-of-zq.local"),
        ("host", "http://zqbox.fritz.box/x", "zqbox.fritz.box"),
        ("host", "https://zqbox.example.org/v1", "zqbox.example.org"),
    ] {
        all.push(Planted { kind, text: text.to_owned(), secret: secret.to_owned() });
    }
    all
}
