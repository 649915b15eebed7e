//! A service as libcompose v1 accepts it (`ServiceConfigV1` in RancherOS's vendored libcompose):
//! the vocabulary that a profile, a release line and a node share.
//!
//! These types can't express what the OS would silently drop or misread. The keys are the same on every target; what
//! a target's [`Dialect`] loses of their values is refused.

mod dialect;
pub mod form;
mod text;

pub use dialect::{Dialect, Loss};
pub use text::{Command, Flag, Int, TEMPLATE_NAMES, Text, Vars, is_printable, is_template, unfit};

use crate::diagnostic::Span;
use crate::yaml::{Given, List, Map, Spanned, View, record};

/// The label that names what a service starts after.
pub const AFTER: &str = "io.rancher.os.after";
/// The label that names what a service starts before.
pub const BEFORE: &str = "io.rancher.os.before";
/// The label that says which engine runs a service: `system`, or user Docker.
pub const SCOPE: &str = "io.rancher.os.scope";
/// The label that makes dependents wait until the container has exited once.
pub const DETACH: &str = "io.rancher.os.detach";
/// The label of a container that is created but never started.
pub const CREATE_ONLY: &str = "io.rancher.os.createonly";

const HINTS: &[(&str, &str)] = &[
    ("network_mode", "write `net`, its name in libcompose v1"),
    ("depends_on", "name it in the label `io.rancher.os.after`"),
    ("networks", "libcompose v1 has no networks; use `net: host`"),
    ("healthcheck", "libcompose v1 has no health checks; use `restart: always`"),
    ("tmpfs", "mount a path below /run instead: it is a tmpfs on the host"),
    ("sysctls", "set it for the node: `sysctl`"),
    ("stop_grace_period", "libcompose v1 has no such key"),
    ("logging", "use `log_driver` and `log_opt`"),
    ("deploy", "libcompose v1 has no such key"),
    ("build", "a node builds no images; name one in `image`"),
    ("container_name", "the OS gives each container its service's name; remove it"),
    ("domainname", "the OS silently drops it; use `hostname`"),
    ("cgroup_parent", "the OS silently drops it; remove it"),
    ("oom_score_adj", "RancherOS 1.5.8 silently drops it; remove it"),
    ("cap-add", "write `cap_add`"),
    ("log_options", "write `log_opt`"),
    ("env", "write `environment`"),
    ("env_file", "the OS ignores it in a node's config; use `environment`"),
];

record! {
    /// A service definition: for system-docker with the label `io.rancher.os.scope: system`,
    /// otherwise for user Docker. Under the name of a service of remuda or the OS, it changes that
    /// service, key by key.
    pub struct Service {
        hints: HINTS;
        visit: Value;
        /// The image, with its tag.
        pub image: Given<Text>,
        /// What the container runs: a list of words, or one text that is split into words as in a shell.
        pub command: Given<Command>,
        /// The program that runs the command.
        pub entrypoint: Given<Command>,
        /// Environment variables: a mapping, or a list of `KEY=value`. The OS looks up a list item
        /// without `=` in `rancher.environment`.
        pub environment: Vars,
        /// Labels: a mapping or a list of `key=value`. `io.rancher.os.after`, `.before`, `.scope`,
        /// `.detach` and `.createonly` decide when and where it starts.
        pub labels: Vars,
        /// `HOST:CONTAINER[:ro|:shared]`.
        pub volumes: List<Text>,
        /// Services whose volumes the container gets.
        pub volumes_from: List<Text>,
        /// `host`, `bridge`, `none` or `container:NAME`.
        pub net: Given<Text>,
        /// `always`, `on-failure[:N]`, `unless-stopped` or `no`.
        pub restart: Given<Text>,
        /// Whether the container gets every capability and device.
        pub privileged: Given<Flag>,
        /// `host`: the container sees the host's processes.
        pub pid: Given<Text>,
        /// `host`: the container shares the host's IPC.
        pub ipc: Given<Text>,
        /// `host`: the container shares the host's name.
        pub uts: Given<Text>,
        /// `HOST:CONTAINER`; only without `net: host`.
        pub ports: List<Text>,
        /// Ports open to linked services.
        pub expose: List<Text>,
        /// Services that the container can reach by name; only without `net: host`.
        pub links: List<Text>,
        /// Containers outside the project that the container can reach by name.
        pub external_links: List<Text>,
        /// `HOST:CONTAINER[:rwm]`.
        pub devices: List<Text>,
        /// Capabilities to add.
        pub cap_add: List<Text>,
        /// Capabilities to drop.
        pub cap_drop: List<Text>,
        /// Options like `label:disable`.
        pub security_opt: List<Text>,
        /// `NAME:ADDRESS` for /etc/hosts.
        pub extra_hosts: List<Text>,
        /// Name servers.
        pub dns: List<Text>,
        /// Search domains.
        pub dns_search: List<Text>,
        /// The container's own host name.
        pub hostname: Given<Text>,
        /// The user that the container runs as.
        pub user: Given<Text>,
        /// The folder that the container runs in.
        pub working_dir: Given<Text>,
        /// The log driver.
        pub log_driver: Given<Text>,
        /// Its options.
        pub log_opt: Map<Given<Text>>,
        /// The container's MAC address.
        pub mac_address: Given<Text>,
        /// Memory limit in bytes.
        pub mem_limit: Given<Int>,
        /// Memory and swap limit in bytes.
        pub memswap_limit: Given<Int>,
        /// Microseconds of CPU time in each 100,000.
        pub cpu_quota: Given<Int>,
        /// CPU weight relative to other containers; the default is 1024.
        pub cpu_shares: Given<Int>,
        /// The CPUs that the container may use.
        pub cpuset: Given<Text>,
        /// Whether the container's root filesystem is read-only.
        pub read_only: Given<Flag>,
        /// Whether standard input stays open.
        pub stdin_open: Given<Flag>,
        /// Whether the container gets a terminal.
        pub tty: Given<Flag>,
        /// Limits such as `nofile`.
        pub ulimits: Map<Given<Int>>,
        /// The volume driver.
        pub volume_driver: Given<Text>,
    }
}

impl Service {
    /// A label's value.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name).map(|text| text.text.as_str())
    }

    /// Whether system-docker runs it.
    pub fn is_system(&self) -> bool {
        self.label(SCOPE) == Some("system")
    }

    /// Whether dependents wait until the container has exited once.
    pub fn is_one_shot(&self) -> bool {
        self.label(DETACH) == Some("false")
    }

    /// Removes names from the ordering labels: a release line orders all its services, and not
    /// every node has each of them.
    pub fn forget(&mut self, names: &[&str]) {
        for label in [AFTER, BEFORE] {
            if let Some(text) = self.labels.values.get_mut(label).and_then(Given::get_mut) {
                let kept: Vec<&str> = text.value.text.split(',').filter(|name| !names.contains(&name.trim())).collect();
                text.value.text = kept.join(",");
            }
        }
        let is_order = |label: &str| [AFTER, BEFORE].contains(&label);
        self.labels.values.retain(|label, value| !is_order(&label.value) || value.get().is_none_or(|text| !text.text.is_empty()));
    }
}

/// A field's value, as a visitor sees it.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// One text.
    Text(&'a Spanned<Text>),
    /// A command: one text, or a list of words.
    Command(&'a Spanned<Command>),
    /// A list, not empty.
    List(&'a List<Text>),
    /// Texts by name, not empty; a name may have `~`.
    Map(&'a Map<Given<Text>>),
    /// Variables or labels, not empty.
    Vars(&'a Vars),
    /// True or false.
    Flag(bool),
    /// One number.
    Int(&'a Spanned<Int>),
    /// Numbers by name, not empty; a name may have `~`.
    Ints(&'a Map<Given<Int>>),
}

impl Service {
    /// Calls `visit` with every text in it and its place.
    pub fn for_each_text(&self, mut visit: impl FnMut(&Text, Option<Span>)) {
        self.visit(|_, value| match value {
            Value::Text(text) => visit(&text.value, text.span),
            Value::Command(command) => match &command.value {
                Command::Line(text) => visit(text, command.span),
                Command::Words(words) => words.iter().for_each(|word| visit(&word.value, word.span)),
            },
            Value::List(list) => list.iter().for_each(|item| visit(&item.value, item.span)),
            Value::Map(map) => map.iter().filter_map(|(_, text)| text.get()).for_each(|text| visit(&text.value, text.span)),
            Value::Vars(vars) => {
                vars.values.iter().filter_map(|(_, text)| text.get()).for_each(|text| visit(&text.value, text.span));
                vars.bare.iter().for_each(|item| visit(&item.value, item.span));
            }
            Value::Flag(_) | Value::Int(_) | Value::Ints(_) => {}
        });
    }
}

impl<'a> View<'a, Value<'a>> for Given<Text> {
    fn view(&'a self) -> Option<Value<'a>> {
        self.get().map(Value::Text)
    }
}

impl<'a> View<'a, Value<'a>> for Given<Command> {
    fn view(&'a self) -> Option<Value<'a>> {
        self.get().map(Value::Command)
    }
}

impl<'a> View<'a, Value<'a>> for Given<Flag> {
    fn view(&'a self) -> Option<Value<'a>> {
        self.value().map(|flag| Value::Flag(flag.0))
    }
}

impl<'a> View<'a, Value<'a>> for Given<Int> {
    fn view(&'a self) -> Option<Value<'a>> {
        self.get().map(Value::Int)
    }
}

impl<'a> View<'a, Value<'a>> for List<Text> {
    fn view(&'a self) -> Option<Value<'a>> {
        (!self.is_empty()).then_some(Value::List(self))
    }
}

impl<'a> View<'a, Value<'a>> for Map<Given<Text>> {
    fn view(&'a self) -> Option<Value<'a>> {
        (!self.is_empty()).then_some(Value::Map(self))
    }
}

impl<'a> View<'a, Value<'a>> for Map<Given<Int>> {
    fn view(&'a self) -> Option<Value<'a>> {
        (!self.is_empty()).then_some(Value::Ints(self))
    }
}

impl<'a> View<'a, Value<'a>> for Vars {
    fn view(&'a self) -> Option<Value<'a>> {
        (!self.values.is_empty() || !self.bare.is_empty()).then_some(Value::Vars(self))
    }
}
