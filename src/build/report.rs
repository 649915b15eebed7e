//! A cluster as one page of HTML, for a person who would rather look than read. It needs nothing else: no network, no
//! script, no font. It has nothing that the out tree's files for git don't have, and no clock reaches it.
//!
//! `report.html` escapes every text.

use super::drawing::{self, Order};
use super::{BuildError, Bundled, certificates, day, readme};
use crate::pki::{Certificate, KeyName, Validity};
use crate::plan::{Cluster, NodeRef};
use crate::profile::Day;
use crate::terms::Arch;
use indexmap::IndexMap;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::Ipv4Addr;

const PAGE: &str = include_str!("report.html");
/// Up to this many nodes with the same roles are shown one by one; more of them as ranges.
const EACH: usize = 24;
/// More boxes of nodes, rows of certificates or archives than this are only counted.
const ROWS: usize = 60;
/// More names than this are only counted.
const NAMES: usize = 6;
/// More lines of a plan than this are only counted.
const LINES: usize = 400;
/// The most labels on the time line.
const TICKS: i64 = 8;
const YEAR: i64 = 365 * 24 * 3600;
const MONTH: i64 = 30 * 24 * 3600;

/// What the page is made of.
#[derive(Debug)]
pub struct Report<'c> {
    /// The cluster.
    pub cluster: &'c Cluster,
    /// Its images.
    pub images: &'c [Bundled<'c>],
    /// What a plan would change.
    pub upcoming: Upcoming,
    /// A day to mark among the certificates.
    pub today: Option<Day>,
}

/// What a plan would change.
#[derive(Debug)]
pub enum Upcoming {
    /// Why nobody can say, in a sentence.
    Unknown(String),
    /// The plan for a terminal.
    Plan(String),
    /// The diagnostics of what `remuda plan` refuses.
    Refused(String),
}

impl Report<'_> {
    /// The page.
    pub fn html(&self) -> Result<String, BuildError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build();
        environment.set_syntax(syntax.expect("the default delimiters are valid"));
        environment.render_str(PAGE, Serde(self.page()?)).map_err(BuildError::Template)
    }

    fn page(&self) -> Result<Page<'_>, BuildError> {
        let (cluster, network) = (self.cluster, &self.cluster.network);
        let total: Option<u64> = self.images.iter().map(Bundled::size).sum();
        let largest = self.images.iter().filter_map(Bundled::size).max().unwrap_or(1).max(1);
        let (plan, is_refused, why_no_plan) = match &self.upcoming {
            Upcoming::Unknown(why) => (None, false, why.as_str()),
            Upcoming::Plan(text) => (Some(cut(text)), false, ""),
            Upcoming::Refused(text) => (Some(cut(text)), true, ""),
        };
        Ok(Page {
            name: &cluster.name,
            facts: readme::facts(cluster),
            nodes: cluster.nodes.len(),
            api: cluster.api.host.as_ref().map(|host| format!("{host}:{}", cluster.api.port)),
            network: network.both(network.nodes, |ipv6| ipv6.nodes),
            pods: network.both(network.pods, |ipv6| ipv6.pods),
            services: network.both(network.services, |ipv6| ipv6.services),
            pods_used: pods_used(cluster),
            groups: groups(cluster),
            orders: drawing::orders(cluster).iter().map(Start::of).collect(),
            images: self.images.iter().map(|one| Image::of(one, largest)).collect(),
            total: total.map(megabytes),
            archives: cluster.images.archives.iter().map(|one| (one.file.as_str(), megabytes(one.size), one.sha256.as_str())).collect(),
            times: Times::of(&certificates(cluster)?, self.today.map(Day::seconds)),
            plan,
            is_refused,
            why_no_plan,
        })
    }
}

#[derive(Serialize)]
struct Page<'c> {
    name: &'c str,
    /// In Markdown.
    facts: Vec<[String; 2]>,
    nodes: usize,
    /// `None` if the control plane publishes it.
    api: Option<String>,
    network: String,
    pods: String,
    services: String,
    /// Used subnets of the pods' network, all of them, and the share in percent.
    pods_used: Option<(usize, u64, String)>,
    groups: Vec<Group>,
    orders: Vec<Start>,
    images: Vec<Image<'c>>,
    total: Option<String>,
    /// File, size, SHA-256.
    archives: Vec<(&'c str, String, &'c str)>,
    /// `None` if nothing has a certificate.
    times: Option<Times>,
    plan: Option<String>,
    is_refused: bool,
    why_no_plan: &'c str,
}

/// Nodes with the same roles.
#[derive(Serialize)]
struct Group {
    roles: String,
    nodes: usize,
    boxes: Vec<Hosts>,
    /// The number of nodes that have no box.
    more: usize,
}

/// One node, or some that are counted up.
#[derive(Serialize)]
struct Hosts {
    nodes: usize,
    name: String,
    address: String,
    pods: String,
    /// If the cluster has several.
    arch: Option<Arch>,
}

/// In the order of the profile.
fn groups(cluster: &Cluster) -> Vec<Group> {
    let mut by_roles: IndexMap<String, Vec<usize>> = IndexMap::new();
    for (index, node) in cluster.nodes.iter().enumerate() {
        by_roles.entry(drawing::roles(&cluster.classes[node.class])).or_default().push(index);
    }
    let is_mixed = cluster.arches().len() > 1;
    let group = |(roles, nodes): (String, Vec<usize>)| {
        let in_one_box = |last: &usize, next: &usize| nodes.len() > EACH && follows(cluster.node_at(*last), cluster.node_at(*next));
        let runs: Vec<&[usize]> = nodes.chunk_by(in_one_box).collect();
        let hosts = |run: &&[usize]| {
            let (first, last) = (cluster.node_at(run[0]), cluster.node_at(run[run.len() - 1]));
            Hosts {
                nodes: run.len(),
                name: from_to(&first.node.name, &last.node.name),
                address: match (first.node.address, last.node.address) {
                    (Some(first), Some(last)) => from_to(first, last),
                    _ => "by DHCP".to_owned(),
                },
                pods: match (first.node.subnet, last.node.subnet) {
                    (Some(first), Some(last)) => from_to(first, last),
                    _ if first.class.is_kubernetes() => "leased at boot".to_owned(),
                    _ => "none".to_owned(),
                },
                arch: is_mixed.then_some(first.class.arch),
            }
        };
        let more = runs.iter().skip(ROWS).map(|run| run.len()).sum();
        Group { roles, nodes: nodes.len(), boxes: runs.iter().take(ROWS).map(hosts).collect(), more }
    };
    by_roles.into_iter().map(group).collect()
}

/// Whether a node is the next of the same range, with the next address and the next subnet.
fn follows(last: NodeRef, next: NodeRef) -> bool {
    let (last, next) = (last.node, next.node);
    let counts = |last: Option<Ipv4Addr>, next: Option<Ipv4Addr>, by: u64| match (last, next) {
        (Some(last), Some(next)) => u64::from(u32::from(last)) + by == u64::from(u32::from(next)),
        (None, None) => true,
        _ => false,
    };
    let size = last.subnet.map_or(0, |subnet| u64::from(subnet.size()));
    last.class == next.class
        && last.offset + 1 == next.offset
        && counts(last.address, next.address, 1)
        && counts(last.subnet.map(|subnet| subnet.network()), next.subnet.map(|subnet| subnet.network()), size)
}

fn from_to<T: Display + PartialEq>(first: T, last: T) -> String {
    if first == last { first.to_string() } else { format!("{first} – {last}") }
}

/// `None` if no node has its subnet by the profile.
fn pods_used(cluster: &Cluster) -> Option<(usize, u64, String)> {
    let network = &cluster.network;
    let used = cluster.nodes.iter().filter(|node| node.subnet.is_some()).count();
    let all = 1_u64 << network.node_prefix.saturating_sub(network.pods.prefix());
    (used > 0).then(|| (used, all, percent(used as f64 / all as f64)))
}

/// The start order of the nodes with the same roles.
#[derive(Serialize)]
struct Start {
    roles: String,
    /// The services of each step.
    steps: Vec<Vec<Service>>,
}

#[derive(Serialize)]
struct Service {
    name: String,
    is_os: bool,
    waits_for: String,
}

impl Start {
    fn of(order: &Order) -> Self {
        let mut steps = Vec::new();
        for (name, column) in &order.columns {
            let waits: Vec<&str> = order.edges.iter().filter(|(_, later)| later == name).map(|(earlier, _)| *earlier).collect();
            steps.resize_with(steps.len().max(column + 1), Vec::new);
            steps[*column].push(Service { name: (*name).to_owned(), is_os: order.is_os(name), waits_for: waits.join(", ") });
        }
        Self { roles: order.roles.clone(), steps }
    }
}

#[derive(Serialize)]
struct Image<'c> {
    name: &'c str,
    engine: &'static str,
    arch: &'static str,
    /// `None` if it isn't known.
    size: Option<String>,
    /// Of the largest one, in percent.
    share: String,
    wanted_by: String,
}

impl<'c> Image<'c> {
    fn of(one: &'c Bundled<'c>, largest: u64) -> Self {
        let image = one.image;
        Self {
            name: &image.spec.name,
            engine: image.engine.as_str(),
            arch: image.spec.arch.as_str(),
            size: one.size().map(megabytes),
            share: percent(one.size().unwrap_or(0) as f64 / largest as f64),
            wanted_by: names(one.wanted_by.iter().map(ToString::to_string).collect()),
        }
    }
}

/// Certificates on a line from the first beginning to the last end.
#[derive(Serialize)]
struct Times {
    /// Places in percent, with labels.
    ticks: Vec<(String, String)>,
    today: Option<(String, String)>,
    rows: Vec<Lasting>,
    /// The number of rows that aren't shown.
    more: usize,
}

/// Certificates with the same days.
#[derive(Serialize)]
struct Lasting {
    from: String,
    until: String,
    left: String,
    width: String,
    /// `ended` or `ends`, beside the marked day.
    state: &'static str,
    certificates: Vec<Purpose>,
    more: usize,
}

/// Certificates for the same purpose.
#[derive(Serialize, PartialEq, Eq, Hash)]
struct Purpose {
    name: String,
    generation: u32,
    /// `None` for an authority.
    signed_by: Option<String>,
    owners: String,
}

impl Times {
    /// `None` without certificates.
    fn of<'c>(certificates: &'c [Certificate], today: Option<i64>) -> Option<Self> {
        let mut by_days: BTreeMap<(i64, i64), IndexMap<Purpose, Vec<&'c str>>> = BTreeMap::new();
        let mut add = |key: &KeyName, validity: Validity, signed_by: Option<String>, node: Option<&'c str>| {
            let purpose = Purpose { name: key.purpose.clone(), generation: key.generation, signed_by, owners: String::new() };
            by_days.entry((validity.not_after, validity.not_before)).or_default().entry(purpose).or_default().extend(node);
        };
        for Certificate { authority, .. } in certificates {
            add(&authority.key, authority.validity, None, None);
        }
        for one in certificates {
            let authority = &one.authority.key;
            add(&one.key, one.validity, Some(format!("{} {}", authority.purpose, authority.generation)), Some(&one.key.node));
        }
        let from = by_days.keys().map(|(_, begins)| *begins).min()?;
        let (until, _) = *by_days.keys().last()?;
        let place = |at: i64| percent((at - from) as f64 / (until - from).max(1) as f64);
        let row = |((ends, begins), purposes): ((i64, i64), IndexMap<Purpose, Vec<&str>>)| Lasting {
            from: day(begins),
            until: day(ends),
            left: place(begins),
            width: place(from + ends - begins),
            state: match today.map(|today| ends - today) {
                Some(..0) => "ended",
                Some(left) if left < MONTH => "ends",
                _ => "",
            },
            more: purposes.len().saturating_sub(ROWS),
            certificates: purposes.into_iter().take(ROWS).map(|(purpose, owners)| Purpose { owners: whose(&owners), ..purpose }).collect(),
        };
        Some(Self {
            ticks: ticks(from, until).into_iter().map(|(at, label)| (place(at), label)).collect(),
            today: today.map(|today| (place(today.clamp(from, until)), day(today))),
            more: by_days.len().saturating_sub(ROWS),
            rows: by_days.into_iter().take(ROWS).map(row).collect(),
        })
    }
}

/// The owners of certificates for one purpose: nodes, or nobody's name if it is the cluster's or a user's own.
fn whose(nodes: &[&str]) -> String {
    match nodes.len() {
        1..=NAMES => nodes.iter().copied().filter(|node| !node.is_empty()).collect::<Vec<_>>().join(", "),
        0 => String::new(),
        many => format!("{many} nodes"),
    }
}

/// Beginnings of years or months between two moments, with labels; none in a few weeks.
fn ticks(from: i64, until: i64) -> Vec<(i64, String)> {
    let months = [1, 2, 3, 6].map(|months| (months * MONTH, months));
    let years = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000].map(|years| (years * YEAR, 12 * years));
    let span = until - from;
    let Some((_, months)) = months.into_iter().chain(years).find(|(step, _)| span / step <= TICKS).filter(|(step, _)| span >= *step) else {
        return Vec::new();
    };
    let second = |count: i64| {
        let date = Date::new(i16::try_from(count / 12).ok()?, i8::try_from(count % 12 + 1).ok()?, 1).ok()?;
        Some((Day(date).seconds(), date))
    };
    let first = jiff::Timestamp::from_second(from).map_or(0, |at| i64::from(TimeZone::UTC.to_datetime(at).year())) * 12;
    let label = |date: Date| date.strftime(if months % 12 == 0 { "%Y" } else { "%Y-%m" }).to_string();
    let all = (first / months..).map(|number| number * months).map_while(second).take_while(|(at, _)| *at <= until);
    all.filter(|(at, _)| *at >= from).map(|(at, date)| (at, label(date))).collect()
}

fn names(all: Vec<String>) -> String {
    match all.len() {
        0 => "nobody".to_owned(),
        1..=NAMES => all.join(", "),
        many => format!("{} and {} more", all[..NAMES].join(", "), many - NAMES),
    }
}

/// The first lines of a text.
fn cut(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    match lines.len().saturating_sub(LINES) {
        0 => text.trim_end().to_owned(),
        more => format!("{}\n… and {more} more lines, which `remuda plan` prints", lines[..LINES].join("\n")),
    }
}

fn megabytes(size: u64) -> String {
    format!("{:.1} MB", size as f64 / 1e6)
}

/// For a style sheet, without the sign.
fn percent(share: f64) -> String {
    format!("{:.2}", (share * 100.0).clamp(0.0, 100.0))
}
