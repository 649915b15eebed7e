//! `remuda discovery`: tokens of the service by which the members of etcd find one another.

use super::stock::{self, Network};
use super::{Failure, Outcome, Source, compile, print};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::image::{FetchError, LockedToken, refusal};
use crate::plan::{Cluster, Discovery};
use crate::profile::Url;
use crate::yaml::Scalar;
use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use serde::Deserialize;
use ureq::http::HeaderMap;

/// The longest answer of a discovery service.
const ANSWER: u64 = 1 << 20;

#[derive(Debug, Subcommand)]
pub enum DiscoveryVerb {
    /// Ask the discovery service for a fresh token, and keep it in PROFILE.lock
    ///
    /// A token is for one cluster, once: get a new one whenever the cluster is made anew. All members of
    /// etcd must then boot with their new configs.
    New(Asked),
    /// Say who came to the token; exit 1 unless it is fresh
    Check(Asked),
}

#[derive(Debug, Args)]
pub struct Asked {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    network: Network,
}

/// What the service says of a token: etcd's v2 API.
#[derive(Debug, Deserialize)]
struct Answer {
    node: Registry,
}

#[derive(Debug, Deserialize)]
struct Registry {
    #[serde(default)]
    nodes: Vec<Registered>,
}

#[derive(Debug, Deserialize)]
struct Registered {
    /// NAME=URL
    value: String,
}

impl DiscoveryVerb {
    pub fn run(self) -> Outcome {
        match self {
            Self::New(asked) => asked.renew(),
            Self::Check(asked) => asked.check(),
        }
    }
}

impl Asked {
    fn renew(&self) -> Outcome {
        let (cluster, ..) = compile::cluster(&self.source)?;
        let discovery = self.discovery(&cluster)?;
        let url = format!("{}/new?size={}", discovery.service, discovery.size);
        let token = self.ask(&url)?;
        let Ok(Url(token)) = Url::parse(token.trim()) else {
            return Err(Failure::World(anyhow!("{url} answers no URL: it is no discovery service")));
        };
        let members = self.registered(&token)?;
        if !members.is_empty() {
            return Err(Failure::World(anyhow!("{url} gave the token {token}, which {} came to already", members.join(", "))));
        }
        let mut lock = stock::read_lock(&self.source)?.unwrap_or_default();
        let service = discovery.service.clone();
        lock.discovery = Some(LockedToken { service, cluster: cluster.name.clone(), size: discovery.size, token: token.clone() });
        let path = stock::lock_path(&self.source);
        stock::write(&path, &lock.text())?;
        eprintln!("{path}: the token {token}, for {} members; commit it", discovery.size);
        eprintln!("run `{}`, and boot all members of etcd with their new configs and empty disks", stock::command(&self.source, "gen"));
        Ok(())
    }

    fn check(&self) -> Outcome {
        let (cluster, _, sources) = compile::cluster(&self.source)?;
        let discovery = self.discovery(&cluster)?;
        compile::report(&missing(&self.source, &cluster)?, &sources, self.source.format)?;
        let token = discovery.token.clone().unwrap_or_default();
        let members = self.registered(&token)?;
        if members.is_empty() {
            eprintln!("{token} is fresh: nobody came to it");
            return Ok(());
        }
        print(&(members.join("\n") + "\n"))?;
        eprintln!("error: {token} is used: {} of {} members came to it", members.len(), discovery.size);
        eprintln!(
            "that is as it should be while this cluster runs. Before you make it anew, run `{}`",
            stock::command(&self.source, "discovery new")
        );
        Err(Failure::Source)
    }

    fn discovery<'c>(&self, cluster: &'c Cluster) -> Result<&'c Discovery, Failure> {
        cluster.etcd.discovery.as_ref().ok_or_else(|| {
            eprintln!("error: this profile names the members of etcd itself: it has no `etcd: {{bootstrap: {{discovery: URL, size: N}}}}`");
            Failure::Source
        })
    }

    fn registered(&self, token: &str) -> Result<Vec<String>, Failure> {
        let text = self.ask(token)?;
        let answer: Answer = serde_json::from_str(&text).with_context(|| format!("{token} is no token of a discovery service"))?;
        Ok(answer.node.nodes.into_iter().map(|node| node.value).collect())
    }

    fn ask(&self, url: &str) -> Result<String, Failure> {
        if self.network.offline {
            return Err(Failure::World(anyhow!("with --offline {url} is not asked")));
        }
        let client = self.network.client();
        let answer = client.patiently(|| {
            let mut response = client.get(url, &HeaderMap::new())?;
            if !response.status().is_success() {
                return Err(refusal(&response));
            }
            response.body_mut().with_config().limit(ANSWER).read_to_string().map_err(FetchError::Network)
        });
        answer.with_context(|| url.to_owned()).map_err(Failure::World)
    }
}

/// The token that the lock keeps for this cluster.
pub fn find(source: &Source, cluster: &str, discovery: &Discovery) -> Result<Option<String>, Failure> {
    let locked = stock::read_lock(source)?.and_then(|lock| lock.discovery);
    Ok(locked.filter(|locked| is_for(locked, cluster, discovery)).map(|locked| locked.token))
}

fn is_for(locked: &LockedToken, cluster: &str, discovery: &Discovery) -> bool {
    locked.cluster == cluster && locked.service == discovery.service && locked.size == discovery.size
}

/// What there is to say of a token that isn't there, or is another cluster's.
pub fn missing(source: &Source, cluster: &Cluster) -> Result<Diagnostics, Failure> {
    let mut found = Diagnostics::default();
    let Some(discovery) = cluster.etcd.discovery.as_ref().filter(|discovery| discovery.token.is_none()) else { return Ok(found) };
    let path = stock::lock_path(source);
    let says = match stock::read_lock(source)?.and_then(|lock| lock.discovery) {
        None => format!("there is no discovery token in {path}"),
        Some(other) => format!(
            "the discovery token in {path} is for cluster {}, {} members, from {}: not for {}, {} members, from {}",
            other.cluster, other.size, other.service, cluster.name, discovery.size, discovery.service
        ),
    };
    found.push(
        Diagnostic::error("no-discovery-token", discovery.span, says)
            .why("a token is for one cluster, once: with none the nodes wait for ever, with another cluster's they join that one")
            .mend(format!("run `{}` and commit {path}", stock::command(source, "discovery new"))),
    );
    Ok(found)
}
