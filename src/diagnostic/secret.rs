//! What looks like a secret. A message may name its key, never its value.

/// Words in the name of a variable or key whose value is a secret.
const NAMES: [&str; 11] =
    ["password", "passwd", "passphrase", "psk", "secret", "token", "api_key", "apikey", "access_key", "private_key", "credential"];
/// Words at the end of the name of something that only leads to a secret.
const PLACES: [&str; 3] = ["_file", "_path", "_dir"];

/// Whether a text contains a private key.
pub fn is_private_key(text: &str) -> bool {
    text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----")
}

/// Whether the value of this name is a secret.
pub fn names_secret(name: &str) -> bool {
    let name = name.to_lowercase().replace('-', "_");
    (NAMES.iter().any(|word| name.contains(word)) || name.ends_with("_key") && !name.contains("public"))
        && !PLACES.iter().any(|place| name.ends_with(place))
}

/// Whether a line of the text has a login, sets a password, or gives a secret's name a value.
pub fn contains_secret(text: &str) -> bool {
    text.lines().any(|line| line.contains("chpasswd") || has_login(line) || assigns(line))
}

/// `http://NAME:PASSWORD@HOST`
fn has_login(line: &str) -> bool {
    let is_login = |rest: &str| {
        let authority = rest.split(['/', ' ', '"', '\'']).next().unwrap_or_default();
        authority.rsplit_once('@').is_some_and(|(login, _)| login.contains(':'))
    };
    line.split("://").skip(1).any(is_login)
}

/// `NAME=VALUE`, `NAME: VALUE` or `--NAME VALUE` with such a name. What a shell fills in is none, nor is a profile's
/// `secret: NAME`.
fn assigns(line: &str) -> bool {
    line.match_indices(['=', ':', ' ']).any(|(at, separator)| {
        let before = line[..at].trim_end().trim_end_matches(['"', '\'']);
        let start = before.rfind(|c: char| !c.is_ascii_alphanumeric() && !"_-".contains(c)).map_or(0, |at| at + 1);
        let name = before.get(start..).unwrap_or_default();
        let value = line[at + 1..].trim_start().trim_start_matches(['"', '\'']);
        let is_value = value.starts_with(|c: char| c.is_ascii_alphanumeric() || "+/!%".contains(c));
        names_secret(name) && name != "secret" && is_value && (separator != " " || name.starts_with("--"))
    })
}

#[cfg(test)]
mod tests {
    use super::{contains_secret, names_secret};

    #[test]
    fn a_secret_is_known_by_its_name_or_its_form() {
        for text in [
            "DB_PASSWORD=x",
            "app --token=abc",
            "app --api-key=abc",
            "app --password abc -v",
            "curl https://a:b@example.com/",
            "echo rancher:x | chpasswd",
            "user = a\npassword = b\n",
            "{\"clientSecret\": \"abc\"}",
            "wifi: {ssid: home, psk: abc}",
        ] {
            assert!(contains_secret(text), "{text}");
        }
        for text in [
            "MODE=x",
            "DB_PASSWORD=",
            "app --token=$TOKEN",
            "app --token-file /run/token",
            "token-auth-file: /etc/tokens",
            "secret: quay",
            "registry.example.com:5000/a@sha256:00",
            "ssh a@example.com",
            "curl https://example.com/a:b@c",
            "the password is on the note",
        ] {
            assert!(!contains_secret(text), "{text}");
        }
        assert!(
            names_secret("S3-Access-Key")
                && names_secret("ca_key")
                && !names_secret("public_key")
                && !names_secret("PASSWORD_FILE")
                && !names_secret("ssh_keys")
        );
    }
}
