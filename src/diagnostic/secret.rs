//! What looks like a secret. A message may name its key, never its value.

/// Words in the name of a variable or key whose value is a secret.
const NAMES: [&str; 11] =
    ["password", "passwd", "passphrase", "psk", "secret", "token", "api_key", "apikey", "access_key", "private_key", "credential"];
/// The kinds of an ssh host key: the names of private keys in `rancher.ssh.keys`.
const KEY_KINDS: [&str; 4] = ["rsa", "dsa", "ecdsa", "ed25519"];
/// The length from which a word in base64 is taken for a key. A SHA-512 has 88 characters.
const LONG: usize = 100;
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

/// Whether the line that begins at `start` is part of a private key, or of another secret's value: by its own form, by
/// the block that it is in, or by the keys above it. A text with a mistake in its YAML has nothing but lines.
pub(super) fn is_in_secret(text: &str, start: usize) -> bool {
    let (above, rest) = text.split_at(start);
    let line = rest.lines().next().unwrap_or_default();
    if is_within_key(above) || has_long_base64(line) || keys(line).any(|(name, value)| is_key_kind(name) && !value.is_empty()) {
        return true;
    }
    // A key of a line above that is indented less and has a value: this line is more of that value.
    let mut depth = indentation(line);
    for upper in above.lines().rev().filter(|line| !line.trim().is_empty()) {
        if indentation(upper) < depth {
            depth = indentation(upper);
            if keys(upper).last().is_some_and(|(name, value)| !value.is_empty() && (is_key_kind(name) || names_secret(name))) {
                return true;
            }
        }
        if depth == 0 {
            break;
        }
    }
    false
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn is_key_kind(name: &str) -> bool {
    KEY_KINDS.contains(&name.to_lowercase().as_str())
}

/// Whether a private key begins above and doesn't end there.
fn is_within_key(above: &str) -> bool {
    let begun = above.rfind("-----BEGIN ").map(|at| &above[at..]);
    begun.is_some_and(|key| key.contains("PRIVATE KEY-----") && !key.contains("-----END "))
}

/// Whether a word of the line is long base64 and no public ssh key.
fn has_long_base64(line: &str) -> bool {
    let words = line.split(|c: char| !c.is_ascii_alphanumeric() && !"+/=".contains(c));
    words.filter(|word| word.len() >= LONG && !word.starts_with("AAAA")).any(|word| {
        let has = |is: fn(&char) -> bool| word.chars().any(|c| is(&c));
        has(char::is_ascii_lowercase) && has(char::is_ascii_uppercase) && has(char::is_ascii_digit)
    })
}

/// The names before a colon in a line, each with what follows.
fn keys(line: &str) -> impl Iterator<Item = (&str, &str)> {
    line.match_indices(':').map(|(at, _)| (name_at_end(&line[..at]), line[at + 1..].trim()))
}

/// The name at the end of a text, perhaps in quotes.
fn name_at_end(text: &str) -> &str {
    let text = text.trim_end().trim_end_matches(['"', '\'']);
    text.rfind(|c: char| !c.is_ascii_alphanumeric() && !"_-".contains(c)).map_or(text, |at| text.get(at + 1..).unwrap_or_default())
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
        let name = name_at_end(&line[..at]);
        let value = line[at + 1..].trim_start().trim_start_matches(['"', '\'']);
        let is_value = value.starts_with(|c: char| c.is_ascii_alphanumeric() || "+/!%".contains(c));
        names_secret(name) && name != "secret" && is_value && (separator != " " || name.starts_with("--"))
    })
}

#[cfg(test)]
mod tests {
    use super::{contains_secret, is_in_secret, names_secret};

    /// Whether the line with `@` in it is in a secret.
    fn is_hidden(text: &str) -> bool {
        let start = text[..text.find('@').unwrap()].rfind('\n').map_or(0, |at| at + 1);
        is_in_secret(text, start)
    }

    #[test]
    fn a_line_of_a_key_is_known_by_where_it_is() {
        let long = "MIIEowIBAAKCAQEA0Z3VS5".repeat(5);
        for text in [
            "rancher:\n  ssh:\n    keys:\n      rsa: abc @",
            "rancher: {ssh: {keys: {\"ed25519\": abc @}}}",
            "rsa: |\n  -----BEGIN RSA PRIVATE KEY-----\n  abc @",
            "content: |\n-----BEGIN OPENSSH PRIVATE KEY-----\nabc @\n-----END OPENSSH PRIVATE KEY-----",
            "rsa: >\n  abc\n   def @",
            "password: \"abc\n  def @\"",
            "a:\n  token: |\n    abc\n\n    def @",
            &format!("- content: {long} @"),
        ] {
            assert!(is_hidden(text), "{text}");
        }
        for text in [
            "rancher:\n  ssh:\n    keys:\n      rsa-pub: ssh-rsa AAAA @",
            "ssh_authorized_keys:\n  - ssh-rsa @",
            &format!("ssh_authorized_keys:\n  - ssh-rsa AAAA{long} a@b"),
            "services:\n  token-server:\n    image: a @",
            "content: |\n  -----BEGIN RSA PRIVATE KEY-----\n  abc\n  -----END RSA PRIVATE KEY-----\nb: @",
            "content: |\n  -----BEGIN CERTIFICATE-----\n  abc @",
            "password: abc\nb: @",
            "rsa:\n  b: @",
            &format!("image: a@sha512:{}", "0a".repeat(64)),
        ] {
            assert!(!is_hidden(text), "{text}");
        }
    }

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
