//! The values of a profile. Each type can hold only values that are valid by themselves.

use crate::diagnostic::{Code, Diagnostic};
use crate::service::{is_template, unfit};
use crate::terms::{is_repository_part, schema, word_value};
use crate::yaml::{Kind, Node, Reader, Scalar};
use base64::Engine as _;
use ipnetwork::{Ipv4Network, Ipv6Network};
use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::str::FromStr;

/// A text with a rule: `check` says what is wrong with it.
macro_rules! text_value {
    ($(#[$meta:meta])* $name:ident, $expected:literal, $check:expr) => {
        $(#[$meta])*
        #[doc = concat!("\n\nIt is ", $expected, ".")]
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(
            /// As written.
            pub String,
        );

        impl Scalar for $name {
            fn expected() -> Cow<'static, str> {
                $expected.into()
            }
            fn parse(text: &str) -> Result<Self, String> {
                let check: fn(&str) -> Result<(), String> = $check;
                if let Some((problem, why)) = unfit(text) {
                    return Err(format!("{problem}: {why}"));
                }
                check(text).map(|()| Self(text.to_owned()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        schema!($name, { "type": "string", "title": $expected });
    };
}

/// A number within bounds.
macro_rules! number_value {
    ($(#[$meta:meta])* $name:ident($type:ty), $range:expr, $expected:literal) => {
        $(#[$meta])*
        #[doc = concat!("\n\nIt is ", $expected, ".")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(
            /// The number.
            pub $type,
        );

        impl Scalar for $name {
            fn expected() -> Cow<'static, str> {
                $expected.into()
            }
            fn parse(text: &str) -> Result<Self, String> {
                match text.parse::<$type>() {
                    Ok(number) if $range.contains(&number) && number.to_string() == text => Ok(Self(number)),
                    _ => Err(format!("`{text}` is not {}", $expected)),
                }
            }
        }

        schema!($name, { "type": "integer", "title": $expected, "minimum": (*$range.start()), "maximum": (*$range.end()) });
    };
}

text_value!(
    /// A setting of an add-on, whose type the add-on has.
    AddOnSetting,
    "a single value, of the add-on's type",
    |_| Ok(())
);

/// An RFC 1123 label.
pub fn is_label(text: &str, longest: usize) -> Result<(), String> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.is_empty() || text.len() > longest {
        return Err(format!("`{text}` has {} characters, not 1 to {longest}", text.len()));
    }
    if let Some((problem, _)) = unfit(text) {
        return Err(format!("{problem}: the node's reader takes it for null"));
    }
    if text.starts_with('-') || text.ends_with('-') {
        return Err(format!("`{text}` begins or ends with a dash"));
    }
    match text.chars().find(|c| !inner(*c)) {
        Some(bad) => Err(format!("`{text}` has the character {bad:?}; names have lower-case letters, digits and dashes")),
        None => Ok(()),
    }
}

/// An RFC 1123 domain name.
pub fn is_domain(text: &str) -> Result<(), String> {
    if text.len() > 253 {
        return Err(format!("`{text}` has {} characters; the limit is 253", text.len()));
    }
    text.split('.').try_for_each(|label| is_label(label, 63))
}

text_value!(
    /// A cluster's name, which is also a folder, a certificate's subject and an etcd token.
    ClusterName, "a name of lower-case letters, digits and dashes, at most 40 characters", |text| is_label(text, 40)
);
text_value!(
    /// A node's or a group's name.
    Name, "a name of lower-case letters, digits and dashes (RFC 1123), at most 63 characters", |text| is_label(text, 63)
);
text_value!(
    /// The names of nodes, as they are declared.
    NodeNames, "a node's name, or a range like `m-[1-3]`", |text| {
        let fits = text.len() <= 128 && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-[]".contains(c));
        if fits && !text.is_empty() { Ok(()) } else { Err(format!("`{text}` is not a node's name")) }
    }
);
text_value!(User, "the name of a registry's user", |text| match text.contains([':', '\n']) {
    false if (1..=255).contains(&text.len()) => Ok(()),
    _ => Err(format!("{text:?} isn't a user's name: it must have 1 to 255 characters, without colons and line breaks")),
});
text_value!(Domain, "a domain name, like `cluster.local`", is_domain);
text_value!(
    /// A word that a later phase looks up: a target, a line, a version.
    Word, "a name", |text| match text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
        true if !text.is_empty() && text.len() <= 64 => Ok(()),
        _ => Err(format!("`{text}` is not a name")),
    }
);
text_value!(
    /// A node's name, a DNS name or an IPv4 address.
    EndpointText, "a control-plane node's name, an IPv4 address or a DNS name", |text| {
        let all_digits = text.chars().all(|c| c.is_ascii_digit() || c == '.');
        if text.contains(':') {
            return Err(format!("`{text}` has a colon: the port is `api.port`, the scheme is always https"));
        }
        if all_digits { ipv4(text).map(|_| ()) } else { is_domain(text) }
    }
);
text_value!(
    /// `HOST[:PORT][/PATH]`.
    Host, "a host, like `registry.example.com:5000`", |text| {
        let (host, path) = text.split_once('/').map_or((text, None), |(host, path)| (host, Some(path)));
        let (host, port) = host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port)));
        if text.contains("://") {
            return Err(format!("`{text}` has a scheme; a registry is only a host"));
        }
        is_domain(host)?;
        if port.is_some_and(|port| port.parse::<u16>().is_err()) {
            return Err(format!("`{text}` has no valid port after the colon"));
        }
        match path {
            Some(path) if !path.split('/').all(is_repository_part) => Err(format!("`{text}` has no valid path after the slash")),
            _ if port.is_none() && !host.contains('.') && host != "localhost" => {
                Err(format!("`{host}` has neither a dot nor a port: Docker takes it for a user of Docker Hub"))
            }
            _ => Ok(()),
        }
    }
);
text_value!(
    /// `HOST[:PORT]`, as dockerd's `--insecure-registry` accepts it.
    PlainHost, "a registry's host, like `registry.example.com:5000`", |text| match text.contains('/') {
        true => Err(format!("`{text}` has a path: dockerd accepts only HOST:PORT, and exits on anything else")),
        false => Host::parse(text).map(|_| ()),
    }
);
text_value!(
    /// `http://HOST[:PORT]`, as dockerd's `--registry-mirror` accepts it.
    Mirror, "a URL with only a host, like `http://10.0.0.2:5000`", |text| {
        Url::parse(text)?;
        let rest = text.split_once("://").map_or("", |(_, rest)| rest).trim_end_matches('/');
        match rest.chars().any(|c| "/?#@".contains(c)) {
            true => Err(format!("`{text}` has more than a host: dockerd exits on a mirror with a path, a query or a login")),
            false => Ok(()),
        }
    }
);

text_value!(
    /// `http://HOST[:PORT][/PATH]`, as containerd's hosts.toml names a host.
    PodMirror, "a URL, like `http://10.0.0.2:5000` or `https://registry.example.com/v2/proxy`", |text| {
        Url::parse(text)?;
        match text.chars().find(|c| "?#@=".contains(*c)) {
            Some('@') => Err("this mirror has a login: a password doesn't belong in git".to_owned()),
            Some(bad) => Err(format!("`{text}` has a `{bad}`: a mirror is a host, or the path below which it answers as a registry")),
            None => Ok(()),
        }
    }
);

text_value!(
    /// `http://HOST[:PORT]`: an engine speaks HTTP with its proxy.
    ProxyUrl, "a URL with only a host, like `http://10.0.0.3:3128`", |text| {
        Url::parse(text)?;
        let Some(rest) = text.strip_prefix("http://") else {
            return Err(format!("`{text}` isn't an http URL: system-docker speaks only HTTP with a proxy, also for https URLs"));
        };
        match rest.trim_end_matches('/') {
            rest if rest.contains('@') => Err("this proxy has a login: a password doesn't belong in git".to_owned()),
            rest if rest.is_empty() || rest.chars().any(|c| "/?#,".contains(c)) => Err(format!("`{text}` has more than a host")),
            _ => Ok(()),
        }
    }
);
text_value!(
    /// A host, a domain or a network.
    NoProxy, "a host like `registry.example.com`, a domain like `.example.com`, an address or a network", |text| {
        if text.contains('*') {
            return Err(format!("`{text}` is a pattern: engines know only `.example.com` for all hosts of a domain"));
        }
        match text.chars().find(|c| !c.is_ascii_alphanumeric() && !"._-/:".contains(*c)) {
            Some(bad) => Err(format!("`{text}` has the character {bad:?}; write one host to an item, without `http://`")),
            None if text.contains("//") || text.is_empty() => Err(format!("`{text}` is not a host")),
            None => Ok(()),
        }
    }
);

text_value!(Url, "a URL, like `http://10.0.0.2:5000`", |text| {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match rest {
        Some(rest) if !rest.is_empty() && rest.chars().all(|c| c.is_ascii_graphic() && !"\"'\\<>`{}".contains(c)) => Ok(()),
        _ => Err(format!("`{text}` is not an http or https URL")),
    }
});
text_value!(
    /// A URL to which paths are appended.
    BaseUrl, "a URL without `?`, `#` and `@`, like `http://10.0.0.2:5000/images`", |text| {
        Url::parse(text)?;
        match text.chars().find(|c| "?#@".contains(*c)) {
            Some(bad) => Err(format!("this URL contains {bad:?}: remuda appends a path to it, and writes it in the clear into files for git")),
            None => Ok(()),
        }
    }
);
text_value!(
    /// A URL, or a path below another one.
    Location, "a path like `os/vmlinuz`, or a URL", |text| {
        if text.contains("://") {
            BaseUrl::parse(text)?;
        }
        if text.starts_with('-') {
            return Err(format!("iPXE takes `{text}` for an option, because it begins with a dash"));
        }
        let is_path = || text.split('/').all(|part| !matches!(part, "" | "." | "..")) && text.chars().all(is_plain);
        if Url::parse(text).is_ok() || is_path() { Ok(()) } else { Err(format!("`{text}` is neither a relative path nor a URL")) }
    }
);
text_value!(
    /// `ttyS0` or `ttyS0,115200n8`.
    Console, "a kernel console, like `ttyS0,115200n8`", |text| match text.split_once(',') {
        _ if !text.starts_with("tty") && !text.starts_with("hvc") => Err(format!("`{text}` isn't a kernel console")),
        Some((device, options)) if is_word(device) && is_word(options) => Ok(()),
        None if is_word(text) => Ok(()),
        _ => Err(format!("`{text}` isn't a kernel console")),
    }
);
text_value!(
    /// One word of the kernel's command line.
    KernelArg, "one kernel parameter, like `panic=10`", |text| {
        if text.starts_with("rancher.password=") {
            return Err("a password doesn't belong in git; log in with `ssh_keys`".to_owned());
        }
        if text.is_empty() || text.len() > 1000 {
            return Err(format!("`{text}` has {} characters, not 1 to 1000", text.len()));
        }
        match text.chars().find(|c| !c.is_ascii_graphic() || "\"'\\$`&|;#{}<>()".contains(*c)) {
            Some(bad) => Err(format!("`{text}` has the character {bad:?}, which a boot loader takes for something else")),
            None => Ok(()),
        }
    }
);
text_value!(
    /// A machine's serial number, as its firmware reports it.
    Serial, "a serial number of at most 64 letters, digits, dots, dashes and underscores", |text| {
        if text.len() <= 64 && is_word(text) { Ok(()) } else { Err(format!("`{text}` isn't such a serial number")) }
    }
);
text_value!(
    /// A box's name, as `vagrant box add` knows it.
    BoxName, "a box's name, like `owner/name`", |text| {
        let fits = text.len() <= 128 && text.split('/').count() <= 2 && text.split('/').all(is_word);
        if fits { Ok(()) } else { Err(format!("`{text}` is not a box's name")) }
    }
);
text_value!(
    /// What Vagrant accepts as `box_version`.
    BoxVersion, "a box's version, like `1.5.8` or `>= 1.5`", |text| {
        let version = text.trim_start_matches(|c| "<>=~ ".contains(c));
        if text.len() <= 64 && version.starts_with(|c: char| c.is_ascii_digit()) && is_word(version) { Ok(()) } else { Err(format!("`{text}` is not a version")) }
    }
);

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-/".contains(c)
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| is_plain(c) && c != '/')
}

text_value!(
    /// An absolute path without `.` and `..`.
    AbsPath, "an absolute path, like `/var/lib/etcd`", is_path
);
text_value!(
    /// The absolute path of a file, which may have a colon: `/etc/docker/certs.d/HOST:PORT/ca.crt`.
    FilePath, "an absolute path, like `/opt/app/config.ini`", |text| is_path(&text.replace(':', "_"))
);
text_value!(
    /// A file or folder next to the profile.
    ManifestPath, "a path relative to the profile's folder, like `manifests/`", |text| {
        match text {
            "" => Err("the path is empty".to_owned()),
            _ if text.starts_with('/') => Err(format!("`{text}` is an absolute path: another machine doesn't have it")),
            _ if text.len() > 1024 => Err(format!("this path has {} bytes; the limit is 1024", text.len())),
            _ => Ok(()),
        }
    }
);
text_value!(Interface, "a network interface's name, like `eth1`", |text| {
    let fits = (1..=15).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    let virtual_ones = ["lo", "docker", "flannel", "veth", "cni"];
    if let Some(kind) = virtual_ones
        .iter()
        .find(|kind| text.strip_prefix(**kind).is_some_and(|rest| rest.is_empty() || rest.starts_with(|c: char| !c.is_ascii_alphabetic())))
    {
        let makers = if *kind == "lo" { "the kernel makes" } else { "programs on the node make" };
        return Err(format!("{makers} `{text}`: no node reaches another one through it"));
    }
    // net/core/sysctl_net_core.c and net/ipv4/devinet.c; drivers/net/bonding/bond_sysfs.c.
    if ["all", "default", "bonding_masters"].contains(&text) {
        return Err(format!("the kernel has `{text}` for its own settings, and refuses an interface of this name"));
    }
    no_mac(text)?;
    if text.starts_with('.') || text.ends_with('.') {
        return Err(format!("`{text}` begins or ends with a dot"));
    }
    if fits { Ok(()) } else { Err(format!("`{text}` is not an interface's name: 1 to 15 letters, digits, dots, dashes")) }
});

/// netconf takes what follows the fourth character for a MAC address, and panics where nothing does (pkg/netconf,
/// findMatch).
fn no_mac(text: &str) -> Result<(), String> {
    match text.starts_with("mac") {
        true => Err(format!("the OS takes `{text}` for a MAC address: it never configures an interface whose name begins with `mac`")),
        false => Ok(()),
    }
}

impl Interface {
    /// Whether it has the name of a bond, a bridge or a VLAN, which no machine has by itself.
    pub fn is_made(&self) -> bool {
        let is_numbered = |kind| self.0.strip_prefix(kind).is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit()));
        self.0.contains('.') || ["bond", "br", "vlan", "team"].into_iter().any(is_numbered)
    }
}
text_value!(
    /// The path of a block device.
    DiskPath, "a disk's device, like `/dev/sda`", |text| match text.starts_with("/dev/") {
        true => is_path(text),
        false => Err(format!("`{text}` isn't a device: disks are in /dev")),
    }
);
text_value!(
    /// The interfaces that the OS gives an address by DHCP.
    InterfacePattern, "a network interface's name, a pattern like `eth*`, or `mac=52:54:00:12:34:56`", |text| {
        if let Some(mac) = text.strip_prefix(BY_MAC) {
            // As the kernel writes it: the key would otherwise be another one than the node's own.
            return match Mac::parse(mac)?.to_string() == mac {
                true => Ok(()),
                false => Err(format!("`{mac}` isn't a MAC address in lower case with colons")),
            };
        }
        no_mac(text)?;
        if text.contains('*') && text.contains('.') {
            return Err(format!("`{text}` is for VLANs, each of which must be declared in `interfaces`"));
        }
        Interface::parse(&text.replacen('*', "x", 1)).map(|_| ())
    }
);

/// How an interface is named by its MAC address.
pub const BY_MAC: &str = "mac=";

/// An interface's name or `mac=…`: a key of `interfaces`.
pub fn interface_key(text: &str) -> Result<(), String> {
    if text.contains('*') {
        return Err(format!("`{text}` is a pattern: only `dhcp` can have one"));
    }
    InterfacePattern::parse(text).map(|_| ())
}
text_value!(LabelValue, "a Kubernetes label's value: at most 63 letters, digits, dots, dashes and underscores", is_label_value);
text_value!(
    /// `KEY[=VALUE]:EFFECT`.
    Taint, "a taint, `KEY[=VALUE]:NoSchedule`, `:PreferNoSchedule` or `:NoExecute`", |text| {
        let (key, effect) = text.rsplit_once(':').ok_or_else(|| format!("`{text}` has no effect after a colon"))?;
        let (key, value) = key.split_once('=').unwrap_or((key, ""));
        is_label_key(key)?;
        is_label_value(value)?;
        match effect {
            "NoSchedule" | "PreferNoSchedule" | "NoExecute" => Ok(()),
            other => Err(format!("`{other}` isn't an effect")),
        }
    }
);
text_value!(
    /// `10y` or `90d`.
    Lifetime, "a lifetime in years or days, like `10y` or `90d`", |text| Lifetime::years_and_days(text).map(|_| ())
);

impl Lifetime {
    fn years_and_days(text: &str) -> Result<(u16, u16), String> {
        let number = |digits: &str, most: u16| match digits.parse::<u16>() {
            Ok(number) if (1..=most).contains(&number) && number.to_string() == digits => Ok(number),
            _ => Err(format!("`{text}` isn't a lifetime from 1d to 36500d or from 1y to 100y")),
        };
        match (text.strip_suffix('y'), text.strip_suffix('d')) {
            (Some(years), _) => Ok((number(years, 100)?, 0)),
            (_, Some(days)) => Ok((0, number(days, 36500)?)),
            _ => Err(format!("`{text}` has no unit: `y` for years, `d` for days")),
        }
    }

    /// The first day after the lifetime, if it begins on `day`.
    pub fn end(&self, day: Day) -> Day {
        let (years, days) = Self::years_and_days(&self.0).unwrap_or_default();
        Day(day.0.saturating_add(jiff::Span::new().years(years).days(days)))
    }
}

/// A day of the calendar, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Day(pub jiff::civil::Date);

impl Day {
    /// Seconds from 1970 to the day's first moment.
    pub fn seconds(self) -> i64 {
        self.0.to_zoned_datetime(jiff::tz::TimeZone::UTC).map_or(0, |zoned| zoned.timestamp().as_second())
    }
}

impl Scalar for Day {
    fn expected() -> Cow<'static, str> {
        "a day between 1970-01-01 and 2199-12-31, like `2026-01-31`".into()
    }
    fn parse(text: &str) -> Result<Self, String> {
        match text.parse::<jiff::civil::Date>() {
            Ok(date) if date.to_string() == text && (1970..2200).contains(&date.year()) => Ok(Self(date)),
            _ => Err(format!("`{text}` is not a day")),
        }
    }
}

schema!(Day, { "type": "string", "format": "date" });
number_value!(
    /// Selects one of the keys of the same name.
    Generation(u32),
    1..=1_000_000,
    "a generation from 1 to 1000000"
);
text_value!(
    /// A public key, as in `authorized_keys`.
    SshKey, "a public ssh key, as in ~/.ssh/id_ed25519.pub", |text| {
        if text.contains("PRIVATE KEY") {
            return Err("this is a private key".to_owned());
        }
        let mut words = text.split(' ').skip_while(|word| !is_key_type(word));
        match (words.next(), words.next()) {
            (Some(kind), Some(key)) if is_key_blob(kind, key) && !text.contains('\n') => Ok(()),
            _ => Err("this is not a public ssh key".to_owned()),
        }
    }
);

text_value!(
    /// How often something is done.
    Every, "a time in minutes, hours or days, like `30m`, `6h` or `1d`", |text| Every::parsed(text).map(|_| ())
);

impl Every {
    fn parsed(text: &str) -> Result<u32, String> {
        const MONTH: u32 = 31 * 24 * 3600;
        let unit = match text.chars().next_back() {
            Some('m') => 60,
            Some('h') => 3600,
            Some('d') => 24 * 3600,
            _ => 0,
        };
        let number = text.get(..text.len().saturating_sub(1)).filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
        let seconds = number.and_then(|number| number.parse::<u32>().ok()?.checked_mul(unit));
        seconds.filter(|seconds| (60..=MONTH).contains(seconds)).ok_or_else(|| format!("`{text}` isn't a time from 1m to 31d"))
    }

    /// In seconds.
    pub fn seconds(&self) -> u32 {
        Self::parsed(&self.0).unwrap_or(0)
    }
}

number_value!(
    /// A number of snapshots.
    SnapshotCount(u32),
    1..=10_000,
    "a number of snapshots from 1 to 10000"
);
text_value!(
    /// A group in a client's certificate.
    UserGroup, "a group, like `developers`", |text| is_user(text)
);

/// A name of a user or group in a certificate, which is also a file's: what RBAC, a subject and a path can have alike.
pub fn is_user(text: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.@:".contains(c);
    if text.is_empty() || text.len() > 64 || !text.chars().all(fits) || !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(format!("`{text}` isn't a name of up to 64 letters, digits and `-_.@:`, the first a letter or digit"));
    }
    Ok(())
}

fn is_key_type(word: &str) -> bool {
    word.starts_with("ssh-") || word.starts_with("ecdsa-sha2-") || word.starts_with("sk-")
}

/// Whether the type inside a key's base64 is the one before it (RFC 4253, section 6.6).
fn is_key_blob(kind: &str, key: &str) -> bool {
    let blob = base64::engine::general_purpose::STANDARD.decode(key).unwrap_or_default();
    let inner = blob.get(..4).and_then(|length| {
        let length = u32::from_be_bytes(length.try_into().ok()?) as usize;
        blob.get(4..4_usize.checked_add(length)?)
    });
    inner == Some(kind.as_bytes()) && blob.len() > kind.len() + 32
}

fn is_path(text: &str) -> Result<(), String> {
    if !text.starts_with('/') || text.len() > 1000 {
        return Err(format!("`{text}` is not an absolute path"));
    }
    let bad = |part: &str| part.is_empty() || part == "." || part == "..";
    if text == "/" || text[1..].split('/').any(bad) {
        return Err(format!("`{text}` contains an empty part, a `.` or a `..`"));
    }
    if text.contains(|c: char| !c.is_ascii_graphic() || ":,\"'\\$`".contains(c)) {
        return Err(format!("`{text}` has a character that breaks mounts and scripts"));
    }
    Ok(())
}

/// A Kubernetes label's key: `[PREFIX/]NAME`.
pub fn is_label_key(text: &str) -> Result<(), String> {
    let name = match text.split_once('/') {
        Some((prefix, name)) => {
            is_domain(prefix)?;
            name
        }
        None => text,
    };
    if name.is_empty() {
        return Err(format!("`{text}` has no name"));
    }
    is_label_value(name)
}

fn is_label_value(text: &str) -> Result<(), String> {
    let ends = |c: char| c.is_ascii_alphanumeric();
    let fits = text.len() <= 63
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        && (text.is_empty() || (text.starts_with(ends) && text.ends_with(ends)));
    if fits {
        Ok(())
    } else {
        Err(format!(
            "`{text}` is not a label's name or value: at most 63 letters, digits, dots, dashes and underscores, with a letter or digit first and last"
        ))
    }
}

word_value!(
    /// How a file's content is written.
    Encoding { Base64 = "base64" }
);

number_value!(Port(u16), 1..=65535u16, "a port, 1 to 65535");
number_value!(Mtu(u16), 576..=9216u16, "an MTU, 576 to 9216");
number_value!(Miimon(u16), 1..=10_000u16, "a time in milliseconds, 1 to 10000");
number_value!(VlanId(u16), 1..=4094u16, "a VLAN's number, 1 to 4094");
number_value!(Memory(u32), 512..=16_777_216u32, "memory in MiB, 512 or more");
number_value!(Cpus(u16), 1..=1024u16, "a number of processors, 1 to 1024");
number_value!(Vni(u32), 1..=16_777_215u32, "a VXLAN network identifier, 1 to 16777215");
number_value!(MemberCount(u8), 1..=9u8, "a number of members, 1 to 9");
number_value!(PrefixLen(u8), 8..=30u8, "a prefix length, 8 to 30");
number_value!(Ipv6PrefixLen(u8), 48..=120u8, "a prefix length of IPv6, 48 to 120");

/// A name server's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameServer(pub IpAddr);

impl Scalar for NameServer {
    fn expected() -> Cow<'static, str> {
        "a name server's address, like 10.0.0.53".into()
    }
    fn parse(text: &str) -> Result<Self, String> {
        let address = if is_ipv6(text) { Ipv6::parse(text)?.0.into() } else { IpAddr::from(ipv4(text)?) };
        let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
        if address.is_unspecified() || address.is_multicast() || is_broadcast {
            return Err(format!("no machine has the address {address}"));
        }
        Ok(Self(address))
    }
}
schema!(NameServer, { "type": "string", "title": "IPv4 or IPv6 address" });

/// Whether a text is meant for an address or a network of IPv6.
pub(super) fn is_ipv6(text: &str) -> bool {
    text.contains(':')
}

/// An IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ipv6(pub Ipv6Addr);

impl Scalar for Ipv6 {
    fn expected() -> Cow<'static, str> {
        "an IPv6 address, like fd00::11".into()
    }
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| match text.contains('/') {
            true => format!("`{text}` has a prefix length; write only the address"),
            false => format!("`{text}` is not an IPv6 address"),
        })
    }
}
schema!(Ipv6, { "type": "string", "title": "IPv6 address" });

/// An IPv4 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ipv4(pub Ipv4Addr);

fn ipv4(text: &str) -> Result<Ipv4Addr, String> {
    text.parse().map_err(|_| match text.contains('/') {
        true => format!("`{text}` has a prefix length; write only the address"),
        false => format!("`{text}` is not an IPv4 address"),
    })
}

impl Scalar for Ipv4 {
    fn expected() -> Cow<'static, str> {
        "an IPv4 address, like 10.0.0.11".into()
    }
    fn parse(text: &str) -> Result<Self, String> {
        ipv4(text).map(Self)
    }
}
schema!(Ipv4, { "type": "string", "format": "ipv4" });

word_value!(
    /// An address that the node learns at boot.
    ByDhcp { ByDhcp = "dhcp" }
);

/// A node's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// An address.
    Known(Ipv4),
    /// Learned at boot.
    Dhcp,
}

impl Scalar for Address {
    fn expected() -> Cow<'static, str> {
        "an IPv4 address, like 10.0.0.11, or `dhcp`".into()
    }
    fn parse(text: &str) -> Result<Self, String> {
        if text == ByDhcp::ByDhcp.as_str() { Ok(Self::Dhcp) } else { Ipv4::parse(text).map(Self::Known) }
    }
}
schema!(Address, { "type": "string", "title": "an IPv4 address, like 10.0.0.11, or `dhcp`" });

/// Reads `ADDRESS/PREFIX` of a family.
fn address_and_prefix<A: FromStr>(text: &str, family: &str, prefixes: RangeInclusive<u8>) -> Result<(A, u8), String> {
    let (address, prefix) = text.split_once('/').ok_or_else(|| format!("`{text}` has no prefix length"))?;
    let address_read = address.parse().map_err(|_| format!("`{address}` is not an {family} address"))?;
    let known = prefix.parse().ok().filter(|prefix| prefixes.contains(prefix));
    let (least, most) = (prefixes.start(), prefixes.end());
    Ok((address_read, known.ok_or_else(|| format!("`/{prefix}` is not a prefix length, {least} to {most}"))?))
}

/// An IPv4 network without host bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cidr(pub Ipv4Network);

impl Scalar for Cidr {
    fn expected() -> Cow<'static, str> {
        "an IPv4 network, like 10.0.0.0/16".into()
    }
    fn parse(text: &str) -> Result<Self, String> {
        let (address, prefix) = address_and_prefix(text, "IPv4", 1..=30)?;
        let network = Ipv4Network::new(address, prefix).map_err(|error| error.to_string())?;
        if network.network() != address {
            return Err(format!("`{text}` has host bits set; the network is {}/{prefix}", network.network()));
        }
        Ok(Self(network))
    }
}
schema!(Cidr, { "type": "string", "title": "an IPv4 network, like 10.0.0.0/16" });

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An IPv6 network without host bits, whose addresses machines can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ipv6Cidr(pub Ipv6Network);

impl Scalar for Ipv6Cidr {
    fn expected() -> Cow<'static, str> {
        "an IPv6 network, like fd00::/64".into()
    }
    fn parse(text: &str) -> Result<Self, String> {
        let (address, prefix): (Ipv6Addr, u8) = address_and_prefix(text, "IPv6", 8..=126)?;
        let network = Ipv6Network::new(address, prefix).map_err(|error| error.to_string())?;
        if network.network() != address {
            return Err(format!("`{text}` has host bits set; the network is {}/{prefix}", network.network()));
        }
        // 2000::/3 is the Internet's, fc00::/7 anybody's (RFC 4291, RFC 4193).
        let start = address.segments()[0];
        if start & 0xe000 != 0x2000 && start & 0xfe00 != 0xfc00 {
            return Err(format!("`{text}` is neither in 2000::/3 nor in fc00::/7: routers forward no packets to its addresses"));
        }
        Ok(Self(network))
    }
}
schema!(Ipv6Cidr, { "type": "string", "title": "an IPv6 network, like fd00::/64" });

/// A MAC address; it counts up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac(pub u64);

impl Scalar for Mac {
    fn expected() -> Cow<'static, str> {
        "a MAC address, like 52:54:00:12:34:56".into()
    }
    fn parse(text: &str) -> Result<Self, String> {
        let separator = if text.contains('-') { '-' } else { ':' };
        let bytes: Option<Vec<u8>> = text
            .split(separator)
            .map(|part| u8::from_str_radix(part, 16).ok().filter(|_| part.len() == 2 && !part.starts_with('+')))
            .collect();
        let bytes: [u8; 6] = bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| format!("`{text}` is not a MAC address"))?;
        if bytes[0] & 1 == 1 {
            return Err(format!("`{text}` is a multicast address; no network card has it"));
        }
        if bytes == [0; 6] {
            return Err(format!("`{text}` is no network card's address"));
        }
        Ok(Self(bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))))
    }
}
schema!(Mac, { "type": "string", "title": "a MAC address, like 52:54:00:12:34:56" });

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.to_be_bytes();
        let parts: Vec<String> = bytes[2..].iter().map(|byte| format!("{byte:02x}")).collect();
        f.write_str(&parts.join(":"))
    }
}

/// A machine's UUID, as its firmware reports it, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Uuid(pub String);

impl Scalar for Uuid {
    fn expected() -> Cow<'static, str> {
        "a UUID, like 4c4c4544-0042-3510-8051-b4c04f4e4d31".into()
    }
    fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('-').collect();
        let fits = parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) && parts.concat().chars().all(|c| c.is_ascii_hexdigit());
        if fits { Ok(Self(text.to_ascii_lowercase())) } else { Err(format!("`{text}` is not a UUID")) }
    }
}
schema!(Uuid, { "type": "string", "format": "uuid" });

/// A file's mode in octal, as the OS's schema requires it: `0644`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mode(pub String);

impl Scalar for Mode {
    fn expected() -> Cow<'static, str> {
        "a mode in quotes, like \"0644\"".into()
    }
    fn parse(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix('0').filter(|rest| rest.len() >= 3).unwrap_or(text);
        if digits.len() == 4 && digits.chars().all(|c| c.is_digit(8)) {
            return Err(format!("`{text}` has bits beyond 0777: the OS silently drops setuid, setgid and sticky"));
        }
        if (3..=4).contains(&digits.len()) && digits.chars().all(|c| c.is_digit(8)) {
            return Ok(Self(format!("0{digits}")));
        }
        Err(format!("`{text}` is not a mode"))
    }
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        if let Kind::Scalar { text, plain: true } = &node.kind
            && Self::parse(text).is_ok()
        {
            reader.found.push(
                Diagnostic::new(Code::Yaml11, node.span, format!("YAML 1.1 reads `{text}` as a number, not as a mode"))
                    .why("0644 would become 420, and the node's schema refuses the whole config")
                    .help(format!("write \"{text}\" in quotes")),
            );
            return None;
        }
        read_text(node, reader, Self::parse)
    }
}
schema!(Mode, { "type": "string", "pattern": "^0?[0-7]{3,4}$" });

fn read_text<T: Scalar>(node: &Node, reader: &mut Reader, parse: fn(&str) -> Result<T, String>) -> Option<T> {
    let Kind::Scalar { text, .. } = &node.kind else {
        reader.wrong_type(node, &T::expected());
        return None;
    };
    if reader.refuses_template(node) {
        return None;
    }
    match parse(text) {
        Ok(value) => Some(value),
        Err(problem) => {
            reader.found.push(Diagnostic::new(Code::InvalidValue, node.span, problem).help(format!("write {}", T::expected())));
            None
        }
    }
}

/// A file's content: any text. Content that a config can't hold is written as base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileContent {
    /// As written.
    pub text: String,
    /// Whether it is a template.
    pub template: bool,
}

/// The limit of a file's content, in bytes: the whole config passes through a node's memory three times.
const CONTENT: usize = 1 << 20;

impl Scalar for FileContent {
    fn expected() -> Cow<'static, str> {
        "a text".into()
    }
    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self { text: text.to_owned(), template: false })
    }
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let Kind::Scalar { text, .. } = &node.kind else {
            reader.wrong_type(node, &Self::expected());
            return None;
        };
        if node.is_null() {
            reader.wrong_type(node, "a text; an empty one is `\"\"`");
            return None;
        }
        if text.len() > CONTENT {
            reader.found.push(
                Diagnostic::new(Code::TooLarge, node.span, format!("this file has {} bytes; the limit is 1 MiB", text.len()))
                    .help("put it into an image"),
            );
            return None;
        }
        Some(Self { text: text.clone(), template: is_template(node, text, reader) })
    }
}
schema!(FileContent, { "type": "string" });
