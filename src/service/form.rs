//! The values of a service that libcompose or the engine behind it refuses. Such a container is
//! never created, and the OS continues silently.
//!
//! Sources: libcompose and Docker's own parsers as RancherOS v1.5.8 vendors them (runconfig/opts,
//! go-connections/nat, docker/reference); the daemon of Docker 17.06 (daemon/container.go,
//! volume/volume_unix.go, runconfig/hostconfig_unix.go). `tests/bed/engine/values.py` asks a real engine.

use crate::terms::{ImageName, NoImageName};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

/// What is wrong with a value, and how to fix it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// What is wrong, for a message.
    pub problem: String,
    /// What to write instead.
    pub help: &'static str,
}

type Form = Result<(), String>;

/// What an engine refuses in `text` under the service key `key`; for a list, in one item.
pub fn misfit(key: &str, text: &str) -> Option<Misfit> {
    let (form, help): (Form, _) = match key {
        "image" => (reference(text), "write `[HOST[:PORT]/]NAME[:TAG][@sha256:DIGEST]`, with the name in lower case"),
        "command" | "entrypoint" => (words(text), "close the quote, or write the command as a list"),
        "volumes" => {
            (Volume::parse(text).map(drop), "write `HOST:CONTAINER[:MODE]` with absolute paths; modes are ro, rw, shared, slave, private")
        }
        "volumes_from" => (volumes_from(text), "write `NAME`, `NAME:ro` or `NAME:rw`"),
        "net" => (one_of(text, &["host", "bridge", "none", "default"], true), "write `host`, `bridge`, `none` or `container:NAME`"),
        "pid" | "ipc" => (one_of(text, &["host"], true), "write `host` or `container:NAME`, or remove it"),
        "uts" => (one_of(text, &["host"], false), "write `host`, or remove it"),
        "restart" => (restart(text), "write `always`, `on-failure[:N]`, `unless-stopped` or `\"no\"`"),
        "ports" => (Ports::parse(text).map(drop), "write `[ADDRESS:]HOST:CONTAINER[/udp]`, ports from 1 to 65535"),
        "expose" => (expose(text), "write a port from 1 to 65535, like `\"8080\"` or `\"53/udp\"`"),
        "links" | "external_links" => (link(text), "write `NAME` or `NAME:ALIAS`"),
        "devices" => (device(text), "write `HOST[:CONTAINER][:rwm]` with absolute paths"),
        "cap_add" | "cap_drop" => (capability(text), "write it as capabilities(7) does, without `CAP_`: `NET_ADMIN`; or `ALL`"),
        "security_opt" => (security_opt(text), "write `label:…`, `apparmor:…`, `seccomp:unconfined` or `no-new-privileges`"),
        "extra_hosts" => (extra_host(text), "write `NAME:ADDRESS`"),
        "dns" => (text.parse::<IpAddr>().map(drop).map_err(|_| format!("`{text}` is not an address")), "write a name server's address"),
        "dns_search" => (plain(text, "a domain", |c| c.is_ascii_alphanumeric() || "._-".contains(c)), "write a domain, like `example.com`"),
        "hostname" => (hostname(text), "use letters, digits and dashes, at most 63 of them"),
        "user" => (user(text), "write `USER` or `USER:GROUP`, names or numbers"),
        "working_dir" => (absolute(text), "write an absolute path"),
        "log_driver" => {
            (one_of(text, &LOG_DRIVERS, false), "write `json-file`, `local`, `syslog`, `none` or another driver of Docker's own")
        }
        "mac_address" => (mac_address(text), "write it like `02:42:ac:11:65:43`"),
        "cpuset" => (cpuset(text), "write CPUs like `0-2,4`"),
        "volume_driver" => {
            (plain(text, "a driver", |c| c.is_ascii_alphanumeric() || "._-/:".contains(c)), "write the name of a volume driver")
        }
        _ => return None,
    };
    // For single values other than the image, empty means absent.
    let may_be_empty = matches!(
        key,
        "command"
            | "entrypoint"
            | "net"
            | "pid"
            | "ipc"
            | "uts"
            | "restart"
            | "hostname"
            | "user"
            | "working_dir"
            | "log_driver"
            | "mac_address"
            | "cpuset"
            | "volume_driver"
    );
    form.err().filter(|_| !(text.is_empty() && may_be_empty)).map(|problem| Misfit { problem, help })
}

/// What an engine refuses in the name of a container, which is its service's.
pub fn misfit_name(name: &str) -> Option<Misfit> {
    let help = "use letters, digits, dashes, dots and underscores, a letter or digit first";
    container_name(name).err().map(|problem| Misfit { problem, help })
}

/// What an engine refuses in a number under the service key `key`.
pub fn misfit_number(key: &str, number: i64) -> Option<Misfit> {
    let (least, what, help) = match key {
        // 4 MiB for Docker 17.06, 6 MiB for current versions.
        "mem_limit" => (6 << 20, "bytes of memory", "write 6291456 (6 MiB) or more"),
        // -1: no limit.
        "memswap_limit" if number == -1 => return None,
        "memswap_limit" => (6 << 20, "bytes of memory and swap", "write more than `mem_limit`, or -1 for no limit"),
        "cpu_quota" => (1000, "microseconds of CPU", "write 1000 or more: microseconds in each 100000"),
        "cpu_shares" => (2, "shares", "write 2 or more; the default is 1024"),
        _ => return None,
    };
    (number < least && number != 0).then(|| Misfit { problem: format!("{number} {what} are too few; the minimum is {least}"), help })
}

/// What an engine refuses in the name of a limit under `ulimits`.
pub fn misfit_ulimit(name: &str) -> Option<Misfit> {
    const KNOWN: [&str; 15] = [
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    ];
    (!KNOWN.contains(&name)).then(|| Misfit {
        problem: format!("{name:?} isn't a limit"),
        help: "the limits are core, cpu, data, fsize, locks, memlock, msgqueue, nice, nofile, nproc, rss, rtprio, rttime, sigpending, stack",
    })
}

/// What the log drivers that write files refuse in an option, in system-docker or in user Docker,
/// which is newer.
pub fn misfit_log_opt(driver: Option<&str>, name: &str, value: &str, is_system: bool) -> Option<Misfit> {
    let driver = driver.filter(|driver| !driver.is_empty()).unwrap_or("json-file");
    let help = "the options of json-file are max-size (`10m`), max-file, labels, env, env-regex, mode and max-buffer-size; in user Docker also compress";
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let is_size = |text: &str| is_number(text.trim_end_matches(['k', 'm', 'g', 'K', 'M', 'G', 'b', 'B']));
    let keeps_files = matches!(driver, "json-file" | "local");
    let fits = match name {
        _ if value.is_empty() => true,
        "max-size" | "max-buffer-size" if keeps_files => is_size(value),
        "max-file" if keeps_files => is_number(value),
        "max-size" | "max-file" => {
            return Some(Misfit { problem: format!("{driver} has no option `{name}`"), help: "remove it: it is for json-file and local" });
        }
        "mode" => matches!(value, "blocking" | "non-blocking"),
        "compress" if keeps_files && !is_system => matches!(value, "true" | "false"),
        "labels" | "env" | "tag" | "env-regex" | "labels-regex" => true,
        _ if !keeps_files => true,
        _ => return Some(Misfit { problem: format!("{driver} has no option `{name}`"), help }),
    };
    (!fits).then(|| Misfit { problem: format!("`{value}` isn't a {name}"), help })
}

/// What system-docker refuses in `text` under the service key `key`, if its log drivers are `known`.
pub fn misfit_in_system_docker(key: &str, text: &str, known: &[String]) -> Option<Misfit> {
    if key == "log_driver" { misfit_system_log_driver(text, known) } else { misfit(key, text) }
}

/// What system-docker refuses in the name of a log driver.
pub fn misfit_system_log_driver(text: &str, known: &[String]) -> Option<Misfit> {
    let is_known = text.is_empty() || text == "none" || known.iter().any(|driver| driver == text);
    let help = match known {
        [_, _, ..] => "remove it (the default is json-file), or write `none` or another driver of system-docker's",
        _ => "remove it (the default is json-file), or write `none`",
    };
    (!is_known).then(|| Misfit { problem: format!("system-docker has no log driver `{text}`, only {} and none", known.join(", ")), help })
}

/// The drivers of user Docker on Linux, including `none`, but without journald, which these OSes don't have.
const LOG_DRIVERS: [&str; 10] = ["json-file", "local", "syslog", "gelf", "fluentd", "awslogs", "splunk", "gcplogs", "logentries", "none"];

/// `[HOST:]CONTAINER[:MODE]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Volume<'t> {
    /// The host's path, or a volume's name; `None` for an anonymous volume.
    pub host: Option<&'t str>,
    /// The absolute path in the container.
    pub inside: &'t str,
    /// Words separated by commas, like `ro` or `shared`; empty if there are none.
    pub mode: &'t str,
}

impl<'t> Volume<'t> {
    /// Reads an item of `volumes`. The error says what an engine would refuse in it.
    pub fn parse(text: &'t str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(':').collect();
        let volume = match parts[..] {
            [inside] => Self { host: None, inside, mode: "" },
            [host, inside] => Self { host: Some(host), inside, mode: "" },
            [host, inside, mode] => Self { host: Some(host), inside, mode },
            _ => return Err(format!("`{text}` has more than three parts")),
        };
        volume.check().map(|()| volume)
    }

    fn check(&self) -> Form {
        absolute(self.inside)?;
        if self.inside.split('/').all(|part| matches!(part, "" | ".")) {
            return Err("a container's `/` can't be a mount point".to_owned());
        }
        let is_name = |host: &str| !host.starts_with('/');
        if let Some(host) = self.host.filter(|host| is_name(host)) {
            container_name(host).map_err(|_| format!("`{host}` is neither an absolute path nor a volume's name"))?;
        }
        let mut kinds: Vec<u8> = Vec::new();
        for word in self.mode.split(',').filter(|_| !self.mode.is_empty()) {
            let kind = match word {
                "ro" | "rw" => 0,
                "z" | "Z" => 1,
                "consistent" | "cached" | "delegated" => 4,
                "nocopy" if self.host.is_none_or(is_name) => 2,
                "shared" | "rshared" | "slave" | "rslave" | "private" | "rprivate" if !self.host.is_none_or(is_name) => 3,
                _ => return Err(format!("`{word}` isn't a mode of this mount")),
            };
            if kinds.contains(&kind) {
                return Err(format!("`{}` contradicts itself", self.mode));
            }
            kinds.push(kind);
        }
        Ok(())
    }
}

/// `[[ADDRESS:]HOST:]CONTAINER[/PROTOCOL]`, ports or ranges of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports<'t> {
    /// The host's IPv4 address; empty for all.
    pub address: &'t str,
    /// Empty if the engine chooses.
    pub host: Option<RangeInclusive<u16>>,
    /// The ports in the container: as many as in `host`, or one.
    pub container: RangeInclusive<u16>,
    /// `tcp` or `udp`.
    pub protocol: &'static str,
}

impl<'t> Ports<'t> {
    /// Reads an item of `ports` or `expose`. The error says what an engine would refuse in it.
    pub fn parse(text: &'t str) -> Result<Self, String> {
        let (ports, protocol) = match text.rsplit_once('/') {
            None => (text, "tcp"),
            Some((ports, "tcp")) => (ports, "tcp"),
            Some((ports, "udp")) => (ports, "udp"),
            Some((_, other)) => return Err(format!("`{other}` is neither tcp nor udp")),
        };
        let parts: Vec<&str> = ports.split(':').collect();
        let (address, host, container) = match parts[..] {
            [container] => ("", "", container),
            [host, container] => ("", host, container),
            [address, host, container] => (address, host, container),
            _ => return Err(format!("`{text}` has more than three parts")),
        };
        if !address.is_empty() && address.parse::<Ipv4Addr>().is_err() {
            return Err(format!("`{address}` is not an IPv4 address"));
        }
        let host = if host.is_empty() { None } else { Some(range(host)?) };
        let container = range(container)?;
        let is_one = container.start() == container.end();
        if host.as_ref().is_some_and(|host| host.len() != container.len() && !is_one) {
            return Err(format!("the ranges of `{text}` have different lengths"));
        }
        Ok(Self { address, host, container, protocol })
    }

    /// The host's ports that it certainly takes; from a range for one container port, the engine chooses one.
    pub fn taken(&self) -> Option<RangeInclusive<u16>> {
        self.host.clone().filter(|host| host.len() == self.container.len())
    }
}

fn range(text: &str) -> Result<RangeInclusive<u16>, String> {
    let port = |text: &str| match text.parse::<u16>() {
        Ok(port) if port > 0 && text.chars().all(|c| c.is_ascii_digit()) => Ok(port),
        _ => Err(format!("`{text}` is not a port")),
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = port(first)?..=port(last)?;
    if range.is_empty() { Err(format!("`{text}` ends before it begins")) } else { Ok(range) }
}

fn expose(text: &str) -> Form {
    match Ports::parse(text)? {
        Ports { host: None, address: "", .. } => Ok(()),
        _ => Err(format!("`{text}` has a port of the host, which belongs in `ports`")),
    }
}

/// An image's name; an engine knows no other digest than SHA-256.
fn reference(text: &str) -> Form {
    let name: ImageName = text.parse().map_err(|error: NoImageName| error.to_string())?;
    match name.digest {
        Some(digest) if !digest.is_sha256() => {
            Err(format!("`{text}` is no image's name: after `@` come `sha256:` and 64 digits or letters from a to f"))
        }
        _ => Ok(()),
    }
}

fn words(text: &str) -> Form {
    shlex::split(text).map(drop).ok_or_else(|| "a quote in this command isn't closed".to_owned())
}

fn volumes_from(text: &str) -> Form {
    let (name, mode) = text.split_once(':').unwrap_or((text, "rw"));
    container_name(name)?;
    one_of(mode, &["ro", "rw"], false)
}

fn restart(text: &str) -> Form {
    let counted = text.strip_prefix("on-failure:").is_some_and(|count| count.parse::<u16>().is_ok());
    if counted { Ok(()) } else { one_of(text, &["always", "no", "on-failure", "unless-stopped"], false) }
}

/// One of these words or, if allowed, `container:NAME`.
fn one_of(text: &str, words: &[&str], or_container: bool) -> Form {
    let name = text.strip_prefix("container:").filter(|_| or_container);
    match name {
        Some(name) => container_name(name),
        None if words.contains(&text) => Ok(()),
        None => Err(format!("`{text}` isn't one of the values")),
    }
}

fn link(text: &str) -> Form {
    let (name, alias) = text.split_once(':').unwrap_or((text, text));
    container_name(name)?;
    plain(alias, "an alias", |c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

fn device(text: &str) -> Form {
    let is_mode = |mode: &str| {
        !mode.is_empty() && mode.chars().all(|c| "rwm".contains(c)) && (1..mode.len()).all(|at| !mode[..at].contains(&mode[at..=at]))
    };
    let parts: Vec<&str> = text.split(':').collect();
    match parts[..] {
        [host] => absolute(host),
        [host, second] => absolute(host).and_then(|()| if is_mode(second) { Ok(()) } else { absolute(second) }),
        [host, inside, mode] => {
            absolute(host)?;
            absolute(inside)?;
            if is_mode(mode) { Ok(()) } else { Err(format!("`{mode}` isn't a mode of a device")) }
        }
        _ => Err(format!("`{text}` has more than three parts")),
    }
}

fn capability(text: &str) -> Form {
    /// The capabilities of Linux 4.14 (capabilities(7)); Docker 17.06 doesn't know newer ones.
    const KNOWN: [&str; 38] = [
        "AUDIT_CONTROL",
        "AUDIT_READ",
        "AUDIT_WRITE",
        "BLOCK_SUSPEND",
        "CHOWN",
        "DAC_OVERRIDE",
        "DAC_READ_SEARCH",
        "FOWNER",
        "FSETID",
        "IPC_LOCK",
        "IPC_OWNER",
        "KILL",
        "LEASE",
        "LINUX_IMMUTABLE",
        "MAC_ADMIN",
        "MAC_OVERRIDE",
        "MKNOD",
        "NET_ADMIN",
        "NET_BIND_SERVICE",
        "NET_BROADCAST",
        "NET_RAW",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYSLOG",
        "SYS_ADMIN",
        "SYS_BOOT",
        "SYS_CHROOT",
        "SYS_MODULE",
        "SYS_NICE",
        "SYS_PACCT",
        "SYS_PTRACE",
        "SYS_RAWIO",
        "SYS_RESOURCE",
        "SYS_TIME",
        "SYS_TTY_CONFIG",
        "WAKE_ALARM",
    ];
    let name = text.to_ascii_uppercase();
    if name == "ALL" || KNOWN.contains(&name.as_str()) { Ok(()) } else { Err(format!("`{text}` isn't a capability")) }
}

fn security_opt(text: &str) -> Form {
    if text == "no-new-privileges" {
        return Ok(());
    }
    match text.split_once(['=', ':']) {
        Some(("label" | "apparmor", value)) if !value.is_empty() => Ok(()),
        Some(("no-new-privileges", "true" | "false")) => Ok(()),
        Some(("seccomp", value)) if value == "unconfined" || value.starts_with('{') => Ok(()),
        Some(("seccomp", _)) => Err("the OS reads no seccomp profile from a file".to_owned()),
        _ => Err(format!("`{text}` isn't an option")),
    }
}

fn extra_host(text: &str) -> Form {
    match text.split_once(':') {
        Some((name, address)) if !name.is_empty() && address.parse::<IpAddr>().is_ok() => {
            plain(name, "a host's name", |c| c.is_ascii_graphic())
        }
        _ => Err(format!("`{text}` isn't a name with an address")),
    }
}

fn hostname(text: &str) -> Form {
    let inner = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
    if text.len() > 63 || text.starts_with(['-', '.']) || text.ends_with(['-', '.']) {
        return Err(format!("`{text}` isn't a host's name"));
    }
    plain(text, "a host's name", inner)
}

fn container_name(text: &str) -> Form {
    let starts = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    let inner = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if starts && text.len() >= 2 && text.chars().all(inner) { Ok(()) } else { Err(format!("`{text}` isn't a container's name")) }
}

fn user(text: &str) -> Form {
    let (user, group) = text.split_once(':').unwrap_or((text, "0"));
    plain(user, "a user", |c| c.is_ascii_graphic() && c != ':')?;
    plain(group, "a group", |c| c.is_ascii_graphic() && c != ':')
}

fn mac_address(text: &str) -> Form {
    let pair = |pair: &str| pair.len() == 2 && pair.chars().all(|c| c.is_ascii_hexdigit());
    let fits = text.split(':').count() == 6 && text.split(':').all(pair);
    if fits { Ok(()) } else { Err(format!("`{text}` is not a MAC address")) }
}

fn cpuset(text: &str) -> Form {
    let number = |text: &str| text.parse::<u16>().ok().filter(|_| text.chars().all(|c| c.is_ascii_digit()));
    let fits = |part: &str| match part.split_once('-') {
        Some((first, last)) => number(first).zip(number(last)).is_some_and(|(first, last)| first <= last),
        None => number(part).is_some(),
    };
    if text.split(',').all(fits) { Ok(()) } else { Err(format!("`{text}` isn't a list of CPUs")) }
}

fn absolute(path: &str) -> Form {
    if path.starts_with('/') { Ok(()) } else { Err(format!("`{path}` is not an absolute path")) }
}

fn plain(text: &str, what: &str, fits: impl Fn(char) -> bool) -> Form {
    if !text.is_empty() && text.chars().all(fits) { Ok(()) } else { Err(format!("`{text}` is not {what}")) }
}
