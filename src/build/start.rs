//! A first profile: the questions, what can be answered with what was answered before, and the text.
//!
//! What doesn't go together isn't known here: each answer is compiled with the defaults of what is still open, and
//! the compiler says what is wrong.

use super::{IMAGES, Paths, Project, SEALED, SourceError};
use crate::diagnostic::{Diagnostics, Severity, Sources};
use crate::disk;
use crate::line::Lines;
use crate::media::pxe;
use crate::plan::{self, Pair};
use crate::profile::{BaseUrl, BoxName, ClusterName, DiskPath, Ipv4, SshKey};
use crate::yaml::Scalar;
use camino::{Utf8Path, Utf8PathBuf};
use ipnetwork::Ipv4Network;
use std::net::Ipv4Addr;
use std::rc::Rc;

/// The profile's file.
pub const PROFILE: &str = "cluster.yaml";
/// The answer for what isn't wanted.
const NONE: &str = "none";
/// The most workers; a larger cluster's profile is edited anyway.
const WORKERS: u32 = 1000;
/// The maximal size of a public key's file, in bytes.
const KEY: u64 = 16 << 10;

/// How machines boot: the word, and what it means.
const BOOT: [(&str, &str); 5] = [
    ("drive", "each machine has the OS, and a config drive"),
    ("pxe", "from the network; each machine installs itself on its disk, once"),
    ("vagrant", "virtual machines by Vagrant, each with a config drive"),
    ("iso", "from an ISO for each machine, which installs the OS on its disk, once"),
    ("installed", "the OS is installed on each disk by hand"),
];

/// A question, and the flag that answers it.
pub struct Question {
    /// Without its dashes.
    pub flag: &'static str,
    /// What its value is.
    pub value: &'static str,
    /// What is asked.
    pub words: &'static str,
    applies: fn(&Start) -> bool,
    /// Each with what it means; empty if any value that fits is allowed.
    choices: fn(&Start) -> Vec<(String, String)>,
    default: fn(&Start) -> String,
    set: fn(&mut Start, &str) -> Result<(), String>,
}

/// The questions in their order: a default depends on the answers before it.
pub static QUESTIONS: [Question; 14] = [
    Question {
        flag: "name",
        value: "NAME",
        words: "The cluster's name",
        applies: |_| true,
        choices: |_| Vec::new(),
        default: |start| start.cluster.clone(),
        set: |start, text| {
            start.cluster = ClusterName::parse(text)?.0;
            Ok(())
        },
    },
    Question {
        flag: "target",
        value: "TARGET",
        words: "The OS on the machines",
        applies: |_| true,
        choices: Start::targets,
        default: Start::first_choice::<1>,
        set: |start, text| {
            start.target = text.to_owned();
            Ok(())
        },
    },
    Question {
        flag: "line",
        value: "LINE",
        words: "The release line: which Kubernetes",
        applies: |_| true,
        choices: Start::lines,
        default: Start::first_choice::<2>,
        set: |start, text| {
            start.line = text.to_owned();
            Ok(())
        },
    },
    Question {
        flag: "boot",
        value: "WAY",
        words: "How the machines boot",
        applies: |_| true,
        choices: |_| BOOT.map(|(word, means)| (word.to_owned(), means.to_owned())).to_vec(),
        default: Start::first_choice::<3>,
        set: |start, text| {
            start.boot = text.to_owned();
            Ok(())
        },
    },
    Question {
        flag: "control-planes",
        value: "N",
        words: "How many control-plane nodes",
        applies: |_| true,
        choices: |_| {
            let means = [(1, "the cluster can't be changed while it is down"), (3, "one of them may fail"), (5, "two of them may fail")];
            means.map(|(count, means)| (count.to_string(), means.to_owned())).to_vec()
        },
        default: Start::first_choice::<4>,
        set: |start, text| {
            start.control_planes = number(text, WORKERS)?;
            Ok(())
        },
    },
    Question {
        flag: "workers",
        value: "N",
        words: "How many workers; with 0, the control-plane nodes run the pods",
        applies: |_| true,
        choices: |_| Vec::new(),
        default: |_| "2".to_owned(),
        set: |start, text| {
            start.workers = number(text, WORKERS)?;
            Ok(())
        },
    },
    Question {
        flag: "network",
        value: "CIDR",
        words: "The network of the machines",
        applies: |_| true,
        choices: |_| Vec::new(),
        // The second is VirtualBox's host-only network.
        default: |start| (if start.is("vagrant") { "192.168.56.0/24" } else { "192.168.10.0/24" }).to_owned(),
        set: |start, text| {
            let network = text.parse::<Ipv4Network>().ok().filter(|_| text.contains('/'));
            let network = network.ok_or_else(|| format!("`{text}` isn't a network like 192.168.10.0/24"))?;
            let (first, prefix) = (network.network(), network.prefix());
            if prefix > 30 {
                return Err(format!("`{text}` has no room for machines; the smallest network is a /30"));
            }
            if network.ip() != first {
                return Err(format!("`{text}` is an address in a network; the network is {first}/{prefix}"));
            }
            start.network = network;
            Ok(())
        },
    },
    Question {
        flag: "gateway",
        value: "ADDRESS",
        words: "The machines' gateway, or `none`",
        applies: |start| !start.is("vagrant"),
        choices: |_| Vec::new(),
        default: |start| start.address(1),
        set: |start, text| {
            start.gateway = if text == NONE { None } else { Some(Ipv4::parse(text)?.0) };
            Ok(())
        },
    },
    Question {
        flag: "first-address",
        value: "ADDRESS",
        words: "The first node's address; the others' are counted up from it",
        applies: |_| true,
        choices: |_| Vec::new(),
        default: |start| start.address(if start.network.prefix() <= 27 { 11 } else { 2 }),
        set: |start, text| {
            start.first = Ipv4::parse(text)?.0;
            Ok(())
        },
    },
    Question {
        flag: "vip",
        value: "ADDRESS",
        words: "The API's address, which no machine has (VIP)",
        applies: |start| start.control_planes > 1,
        choices: |_| Vec::new(),
        default: Start::free_address,
        set: |start, text| {
            start.vip = Ipv4::parse(text)?.0;
            Ok(())
        },
    },
    Question {
        flag: "url",
        value: "URL",
        words: "The web server that machines boot from",
        applies: |start| start.is("pxe"),
        choices: |_| Vec::new(),
        default: |start| format!("http://{}:8080", start.address(2)),
        set: |start, text| {
            start.url = BaseUrl::parse(text)?.0;
            Ok(())
        },
    },
    Question {
        flag: "box",
        value: "NAME",
        words: "The Vagrant box with the OS",
        applies: |start| start.is("vagrant"),
        choices: |_| Vec::new(),
        default: |start| start.target.split('-').next().unwrap_or_default().to_owned(),
        set: |start, text| {
            start.box_name = BoxName::parse(text)?.0;
            Ok(())
        },
    },
    Question {
        flag: "disk",
        value: "DEVICE",
        words: "The disk of each machine for the OS; everything on it will be lost",
        applies: |start| ["pxe", "iso", "installed"].iter().any(|boot| start.is(boot)),
        choices: |_| Vec::new(),
        default: |_| "/dev/sda".to_owned(),
        set: |start, text| {
            start.disk = DiskPath::parse(text)?.0;
            Ok(())
        },
    },
    Question {
        flag: "ssh-key",
        value: "FILE",
        words: "The public ssh key that may log in: its file, the key itself, or `none`",
        applies: |_| true,
        choices: |_| Vec::new(),
        default: |start| start.keys.first().map_or(NONE.to_owned(), Utf8PathBuf::to_string),
        set: |start, text| {
            start.ssh_key = if text == NONE { None } else { Some(key(text)?) };
            Ok(())
        },
    },
];

/// The answers so far.
#[derive(Debug, Clone)]
pub struct Start {
    /// The project's folder.
    folder: Utf8PathBuf,
    /// Public keys on this machine.
    keys: Vec<Utf8PathBuf>,
    /// The best first.
    pairs: Rc<Vec<Pair>>,
    cluster: String,
    target: String,
    line: String,
    boot: String,
    control_planes: u32,
    workers: u32,
    network: Ipv4Network,
    gateway: Option<Ipv4Addr>,
    first: Ipv4Addr,
    vip: Ipv4Addr,
    url: String,
    box_name: String,
    disk: String,
    ssh_key: Option<String>,
}

impl Start {
    /// Nothing is answered yet. `name` is a folder's, `keys` are files of public keys.
    pub fn new(folder: &Utf8Path, name: &str, keys: Vec<Utf8PathBuf>) -> Result<Self, SourceError> {
        let name = if ClusterName::parse(name).is_ok() { name } else { "cluster" };
        let text = String::new;
        Ok(Self {
            folder: folder.to_owned(),
            keys,
            pairs: Rc::new(pairs()?),
            cluster: name.to_owned(),
            target: text(),
            line: text(),
            boot: text(),
            control_planes: 0,
            workers: 0,
            network: Ipv4Network::from(Ipv4Addr::UNSPECIFIED),
            gateway: None,
            first: Ipv4Addr::UNSPECIFIED,
            vip: Ipv4Addr::UNSPECIFIED,
            url: text(),
            box_name: text(),
            disk: text(),
            ssh_key: None,
        })
    }

    /// The cluster's name.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Whether the answers so far leave a question open.
    pub fn asks(&self, question: usize) -> bool {
        (QUESTIONS[question].applies)(self)
    }

    /// The answer to a question if nobody gives another.
    pub fn default(&self, question: usize) -> String {
        (QUESTIONS[question].default)(self)
    }

    /// The answers that go together with those so far, and what they mean; empty if there is no list of them.
    pub fn choices(&self, question: usize) -> Vec<(String, String)> {
        let fits = |(word, _): &(String, String)| self.clone().put(question, word).is_ok_and(|next| next.fits(question + 1).is_ok());
        (QUESTIONS[question].choices)(self).into_iter().filter(fits).collect()
    }

    /// The same with an answer, or why it can't be this one.
    pub fn answered(self, question: usize, text: &str) -> Result<Self, String> {
        let choices = (QUESTIONS[question].choices)(&self);
        if !choices.is_empty() && choices.iter().all(|(word, _)| word != text) {
            let words: Vec<String> = self.choices(question).into_iter().map(|(word, _)| word).collect();
            return Err(format!("`{text}` isn't one of {}", words.join(", ")));
        }
        let next = self.put(question, text)?;
        next.fits(question + 1)?;
        Ok(next)
    }

    /// The same with the default, which isn't compiled: [`Start::check`] does it in the end.
    pub fn by_default(self, question: usize) -> Result<Self, String> {
        let default = self.default(question);
        self.put(question, &default)
    }

    fn put(mut self, question: usize, text: &str) -> Result<Self, String> {
        (QUESTIONS[question].set)(&mut self, text)?;
        Ok(self)
    }

    /// Whether it compiles with the defaults of the questions from this one on.
    fn fits(&self, open: usize) -> Result<(), String> {
        let mut whole = self.clone();
        for question in open..QUESTIONS.len() {
            if whole.asks(question) {
                whole = whole.by_default(question)?;
            }
        }
        let wrong = whole.check().1;
        match wrong.sorted().into_iter().find(|one| one.severity() == Severity::Error) {
            Some(one) => Err(one.message.clone() + &one.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default()),
            None => Ok(()),
        }
    }

    /// What `validate` finds in the profile.
    pub fn check(&self) -> (Sources, Diagnostics) {
        let path = self.folder.join(PROFILE);
        let mut project = Project::of_text(path.as_str(), self.profile());
        project.paths = Paths { out: Some(self.folder.join("out")), ..Paths::of(path) };
        match project.draft() {
            Err(wrong) => (wrong.sources, wrong.found),
            Ok(draft) => {
                project.found.extend_once(super::check(&draft.with(Vec::new())));
                (project.sources, project.found)
            }
        }
    }

    fn is(&self, boot: &str) -> bool {
        self.boot == boot
    }

    fn first_choice<const QUESTION: usize>(&self) -> String {
        (QUESTIONS[QUESTION].choices)(self).into_iter().next().map(|(word, _)| word).unwrap_or_default()
    }

    fn targets(&self) -> Vec<(String, String)> {
        let mut all: Vec<(String, String)> = Vec::new();
        for pair in self.pairs.iter() {
            if all.iter().all(|(name, _)| name != pair.target.name) {
                all.push((pair.target.name.to_owned(), format!("{} {}", pair.target.title, pair.target.versions[0])));
            }
        }
        all
    }

    fn lines(&self) -> Vec<(String, String)> {
        let fitting = self.pairs.iter().filter(|pair| pair.target.name == self.target);
        fitting.map(|pair| (pair.line.name.clone(), pair.line.title.clone())).collect()
    }

    /// Whether control-plane nodes hold the API's address themselves.
    fn holds_addresses(&self) -> bool {
        self.pairs.iter().any(|pair| pair.line.name == self.line && pair.line.holds_addresses())
    }

    /// An address of the network, by its number.
    fn address(&self, number: u32) -> String {
        Ipv4Addr::from(u32::from(self.network.network()).saturating_add(number)).to_string()
    }

    /// An address that no node has: the one before the first node's, or after the last one's.
    fn free_address(&self) -> String {
        let first = u32::from(self.first);
        let before = Ipv4Addr::from(first.saturating_sub(1));
        let is_free = before != self.network.network() && Some(before) != self.gateway && self.network.contains(before);
        let after = Ipv4Addr::from(first.saturating_add(self.control_planes).saturating_add(self.workers));
        if is_free { before.to_string() } else { after.to_string() }
    }

    /// The profile's text.
    pub fn profile(&self) -> String {
        let mut text = String::new();
        let mut line = |line: String| text.extend([line.as_str(), "\n"]);
        line(format!(
            "# The cluster {}, made by `remuda init`. `remuda validate` checks it, `remuda schema --reference` lists all keys.",
            self.cluster
        ));
        line(format!("cluster: {}", self.cluster));
        line(format!("target: {}", self.target));
        line(format!("line: {}\n\nnetwork:", self.line));
        line(format!("  nodes: {}", self.network));
        if let Some(gateway) = self.gateway {
            line(format!("  gateway: {gateway}"));
            line(format!("  nameservers: [{gateway}]        # often the gateway; write yours"));
        }
        line("  # pods: 10.244.0.0/16          # defaults. They can't be changed when the cluster runs".to_owned());
        line("  # services: 10.96.0.0/16\n".to_owned());
        if self.control_planes > 1 {
            let (key, means) = match self.holds_addresses() {
                true => ("vip", "the control-plane nodes hold it in turn"),
                false => ("endpoint", "your load balancer must have it, and pass it to the control-plane nodes"),
            };
            line(format!("api:\n  {key}: {}        # {means}\n", self.vip));
        }
        if ["drive", "vagrant"].iter().any(|boot| self.is(boot)) {
            line(
                "# images: {delivery: drive}      # the image tarballs on the config drives: then `gen` needs the components\n".to_owned(),
            );
        }
        match self.boot.as_str() {
            "vagrant" => line(format!("media:\n  vagrant: {{box_name: {}}}\n", quoted(&self.box_name))),
            "pxe" => {
                let served = format!("out/{}/{SEALED}/{}", self.cluster, pxe::SERVED);
                line(format!("media:\n  url: {}        # serve {served} there, with the OS's vmlinuz and initrd\n", quoted(&self.url)));
            }
            _ => {}
        }
        // A key without a value would be warned of.
        let says_nothing = self.is("drive") && self.ssh_key.is_none();
        line(if says_nothing { "# defaults:" } else { "defaults:" }.to_owned());
        match self.boot.as_str() {
            "vagrant" => line("  interface: eth1                # the node's own; eth0 is Vagrant's\n  dhcp: [eth0]".to_owned()),
            "drive" => {
                line("  # disk: /dev/sda                # where a machine keeps its state, if `media/install.txt` installs it".to_owned())
            }
            _ => line(format!("  disk: {}        # everything on it is lost", quoted(&self.disk))),
        }
        if ["pxe", "iso"].iter().any(|boot| self.is(boot)) {
            line("  install: true                  # the machine installs itself when it first boots".to_owned());
        }
        match &self.ssh_key {
            Some(key) => line(format!("  ssh_keys:\n    - {}\n", quoted(key))),
            None => line("  # ssh_keys: [\"ssh-ed25519 AAAA...\"]  # without one, nobody can log in over ssh\n".to_owned()),
        }
        line("nodes:".to_owned());
        if self.is("pxe") {
            line("  # Network boot knows a machine by its MAC address, `mac: \"52:54:00:12:34:56\"`; without, by the name that DHCP gives it.".to_owned());
        }
        let roles = if self.workers == 0 { "roles: [control-plane, worker]" } else { "role: control-plane" };
        line(self.nodes("control", self.control_planes, roles, 0));
        if self.workers > 0 {
            line(self.nodes("worker", self.workers, "role: worker", self.control_planes));
        }
        text
    }

    /// The declaration of some nodes. At network boot each has a line, for its MAC address.
    fn nodes(&self, name: &str, count: u32, role: &str, from: u32) -> String {
        let address = |number: u32| Ipv4Addr::from(u32::from(self.first).saturating_add(from).saturating_add(number));
        if self.is("pxe") || count == 1 {
            let each = (0..count).map(|number| format!("  {name}-{}: {{{role}, address: {}}}", number + 1, address(number)));
            return each.collect::<Vec<_>>().join("\n");
        }
        format!("  {name}-[1-{count}]: {{{role}, address: {}}}", address(0))
    }
}

fn pairs() -> Result<Vec<Pair>, SourceError> {
    let (mut sources, mut found) = (Sources::default(), Diagnostics::default());
    let pairs = plan::pairs(&Lines::default(), &mut sources, &mut found);
    if found.has_errors() { Err(SourceError { found, sources }) } else { Ok(pairs) }
}

fn number(text: &str, most: u32) -> Result<u32, String> {
    let number = text.parse::<u32>().ok().filter(|number| *number <= most && number.to_string() == text);
    number.ok_or_else(|| format!("`{text}` isn't a number from 0 to {most}"))
}

/// A public key, or that in a file. Nothing of what isn't one is shown.
fn key(text: &str) -> Result<String, String> {
    if let Ok(key) = SshKey::parse(text) {
        return Ok(key.0);
    }
    let read = disk::read_text(Utf8Path::new(text), KEY).map_err(|error| error.to_string())?;
    let read = read.ok_or_else(|| format!("{text} is neither a public key nor a file"))?;
    SshKey::parse(read.trim()).map(|key| key.0).map_err(|_| format!("{text} has no public ssh key in it, and only that"))
}

/// As YAML and JSON both read it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The names that git must not take from the project's folder.
pub fn not_for_git(seed: &str) -> Vec<String> {
    let mut lines = vec![format!("/{seed}"), "/components/".to_owned()];
    lines.extend([SEALED, IMAGES, "media/.vagrant"].map(|name| format!("/out/*/{name}/")));
    lines
}

/// A workflow that checks the out tree.
pub fn workflow() -> String {
    WORKFLOW.replace("@VERSION@", env!("CARGO_PKG_VERSION"))
}

const WORKFLOW: &str = include_str!("workflow.yml");
