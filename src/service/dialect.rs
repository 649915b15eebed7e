//! What reads the services of a config, and what it loses of their values on the way to an engine.

use super::form::{Ports, Volume};
use super::{Service, Text};
use crate::diagnostic::Span;
use serde::Deserialize;

/// What reads a config's services. The keys are the same for each: libcompose v1's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    /// libcompose v1: an engine gets each value as it is written.
    Libcompose,
    /// libcompose's keys in compose-go's types, which have no place for some values (burmilla/os,
    /// pkg/libcompose/config/compat.go).
    ComposeGo,
}

/// What doesn't reach an engine, and what to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// What is lost, for a message.
    pub what: String,
    /// What that does on a node.
    pub why: String,
    /// What to write instead.
    pub help: &'static str,
}

impl Dialect {
    /// What is lost of a service as written, each with its place. Texts that vary are known later.
    pub fn losses(self, service: &Service) -> impl Iterator<Item = (Loss, Option<Span>)> {
        let lists = [("volumes", &service.volumes), ("ports", &service.ports)];
        let items = lists.into_iter().flat_map(|(key, list)| list.iter().map(move |item| (key, item)));
        let of_items =
            items.filter(|(_, item)| !item.varies()).filter_map(move |(key, item)| Some((self.loss(key, &item.text)?, item.span)));
        let hosts: Vec<_> = service.extra_hosts.iter().filter(|_| self == Self::ComposeGo).collect();
        let name = |item: &Text| item.text.split(':').next().map(str::to_owned);
        let again = (0..hosts.len()).filter(|&at| hosts[..at].iter().any(|other| name(other) == name(hosts[at])));
        let of_hosts: Vec<_> = again.map(|at| (of_host(&hosts[at].text), hosts[at].span)).collect();
        of_items.chain(of_hosts)
    }

    /// What is lost of `text`, an item under the service key `key` that an engine would take.
    pub fn loss(self, key: &str, text: &str) -> Option<Loss> {
        match (self, key) {
            (Self::Libcompose, _) => None,
            (Self::ComposeGo, "volumes") => of_volume(Volume::parse(text).ok()?),
            (Self::ComposeGo, "ports") => of_ports(&Ports::parse(text).ok()?),
            (Self::ComposeGo, _) => None,
        }
    }
}

/// Of a mount's mode, only `ro` is kept, if it is all of it (`parseVolumeString`).
fn of_volume(volume: Volume) -> Option<Loss> {
    let what = format!("the mode `{}` of {}", volume.mode, volume.inside);
    let why = |effect| format!("the OS knows no other mode than `ro`, and makes it a plain mount: {effect}");
    let words: Vec<&str> = volume.mode.split(',').collect();
    match words[..] {
        ["" | "ro" | "rw"] => None,
        _ if words.contains(&"ro") => {
            Some(Loss { what, why: why("the container can write to it"), help: "write `HOST:CONTAINER:ro`, without a further mode" })
        }
        _ => Some(Loss {
            what,
            why: why("what is mounted below it later, inside or outside, isn't seen on the other side"),
            help: "write `HOST:CONTAINER`, if its program needs no such mounts; otherwise use another target",
        }),
    }
}

/// A port in the container is one number, and an address needs a port of the host (`parsePortString`).
fn of_ports(ports: &Ports) -> Option<Loss> {
    let (first, last) = (ports.container.start(), ports.container.end());
    if first != last {
        return Some(Loss {
            what: format!("every port in the container but {first}"),
            why: "the OS reads a port in the container as one number: nobody reaches the others".to_owned(),
            help: "write an item for each port",
        });
    }
    (!ports.address.is_empty() && ports.host.is_none()).then(|| Loss {
        what: format!("the address `{}` without a port of the host", ports.address),
        why: "the OS takes it for the port and refuses it: the service would never start".to_owned(),
        help: "write `ADDRESS:HOST:CONTAINER`",
    })
}

/// A name has one address (`sliceToHostsList`).
fn of_host(text: &str) -> Loss {
    Loss {
        what: format!("one of the addresses of `{}`", text.split(':').next().unwrap_or(text)),
        why: "the OS keeps the last one: if nobody answers there, the container doesn't try another".to_owned(),
        help: "keep one of them, or use another name",
    }
}

#[cfg(test)]
mod tests {
    use super::Dialect::{ComposeGo, Libcompose};

    #[test]
    fn only_what_has_no_place_is_lost() {
        for (key, text, what) in [
            ("volumes", "/a:/b", None),
            ("volumes", "/a", None),
            ("volumes", "data:/b:ro", None),
            ("volumes", "/a:/b:rw", None),
            ("volumes", "/a:/b:shared", Some("the mode `shared` of /b")),
            ("volumes", "/a:/b:ro,rslave", Some("the mode `ro,rslave` of /b")),
            ("volumes", "/a:/b:z", Some("the mode `z` of /b")),
            ("volumes", "no volume", None),
            ("ports", "80", None),
            ("ports", "8080-8090:80", None),
            ("ports", "10.0.0.1:53:53/udp", None),
            ("ports", "8080-8081:80-81", Some("every port in the container but 80")),
            ("ports", "10.0.0.1::80", Some("the address `10.0.0.1` without a port of the host")),
            ("expose", "80-81", None),
            ("devices", "/dev/a:/dev/b:rw", None),
        ] {
            let loss = ComposeGo.loss(key, text);
            assert_eq!(loss.map(|loss| loss.what).as_deref(), what, "{text}");
            assert_eq!(Libcompose.loss(key, text), None);
        }
        let why = |text| ComposeGo.loss("volumes", text).unwrap().why;
        assert!(why("/a:/b:ro,z").ends_with("can write to it") && why("/a:/b:z").contains("isn't seen"));
    }
}
