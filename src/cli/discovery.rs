//! `remuda discovery`: tokens of the service by which the members of etcd find one another.

use super::project::{NetworkArgs, ProfileArgs};
use super::{Failure, Outcome, print};
use crate::disk;
use crate::image::{FetchError, LockedToken, refusal};
use crate::plan::{Discovery, Draft};
use crate::profile::Url;
use crate::yaml::Scalar;
use anyhow::Context;
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
    pub source: ProfileArgs,
    #[command(flatten)]
    network: NetworkArgs,
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
    pub fn source(&self) -> &ProfileArgs {
        match self {
            Self::New(asked) | Self::Check(asked) => &asked.source,
        }
    }

    pub fn run(self) -> Outcome {
        match self {
            Self::New(asked) => asked.renew(),
            Self::Check(asked) => asked.check(),
        }
    }
}

impl Asked {
    fn renew(&self) -> Outcome {
        let (project, draft) = self.source.draft(None)?;
        let discovery = discovery(&draft)?;
        let url = format!("{}/new?size={}", discovery.service, discovery.size);
        let token = self.ask(&url)?;
        let Ok(Url(token)) = Url::parse(token.trim()) else {
            return Err(Failure::world(format!("{url} answers no URL: it is no discovery service")));
        };
        let members = self.registered(&token)?;
        if !members.is_empty() {
            return Err(Failure::world(format!("{url} gave the token {token}, which {} came to already", members.join(", "))));
        }
        let mut lock = project.lock.clone().unwrap_or_default();
        let service = discovery.service.clone();
        lock.discovery = Some(LockedToken { service, cluster: draft.name().to_owned(), size: discovery.size, token: token.clone() });
        let path = project.paths.lock();
        disk::write(&path, lock.text().as_bytes(), 0o644)?;
        eprintln!("{path}: the token {token}, for {} members; commit it", discovery.size);
        eprintln!("run `{}`, and boot all members of etcd with their new configs and empty disks", project.paths.command("gen"));
        Ok(())
    }

    fn check(&self) -> Outcome {
        let (mut project, draft) = self.source.draft(None)?;
        let discovery = discovery(&draft)?;
        project.check_token(&draft);
        project.sound()?;
        let token = discovery.token.clone().unwrap_or_default();
        let members = self.registered(&token)?;
        if members.is_empty() {
            eprintln!("{token} is fresh: nobody came to it");
            return Ok(());
        }
        print(&(members.join("\n") + "\n"))?;
        Err(Failure::Check(format!(
            "{token} is used: {} of {} members came to it\nthat is as it should be while this cluster runs. Before you make it anew, run `{}`",
            members.len(),
            discovery.size,
            project.paths.command("discovery new")
        )))
    }

    fn registered(&self, token: &str) -> Result<Vec<String>, Failure> {
        let text = self.ask(token)?;
        let answer: Answer = serde_json::from_str(&text).with_context(|| format!("{token} is no token of a discovery service"))?;
        Ok(answer.node.nodes.into_iter().map(|node| node.value).collect())
    }

    fn ask(&self, url: &str) -> Result<String, Failure> {
        if self.network.offline {
            return Err(Failure::world(format!("with --offline {url} is not asked")));
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

/// How the members of etcd find one another, where the profile doesn't say it itself.
fn discovery(draft: &Draft) -> Result<&Discovery, Failure> {
    draft.discovery().ok_or_else(|| {
        let problem = "this profile names the members of etcd itself: it has no `etcd: {bootstrap: {discovery: URL, size: N}}`";
        Failure::Check(problem.to_owned())
    })
}
