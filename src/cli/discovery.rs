//! `remuda discovery`: tokens of the service through which the members of etcd find each other.

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

/// The maximal size of a discovery service's answer, in bytes.
const ANSWER: u64 = 1 << 20;

#[derive(Debug, Subcommand)]
pub(super) enum DiscoveryVerb {
    /// Ask the discovery service for a new token, and write it to PROFILE.lock
    ///
    /// A token is for one cluster, once: get a new one whenever you rebuild the cluster. All
    /// members of etcd must then boot with their new configs.
    New(Asked),
    /// Show who came to the token; exit with 1 unless it is fresh
    Check(Asked),
}

#[derive(Debug, Args)]
pub(super) struct Asked {
    #[command(flatten)]
    pub source: ProfileArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

/// The service's answer about a token: etcd's v2 API.
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
    pub(super) fn source(&self) -> &ProfileArgs {
        match self {
            Self::New(asked) | Self::Check(asked) => &asked.source,
        }
    }

    pub(super) fn run(self) -> Outcome {
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
            return Err(Failure::world(format!("the answer of {url} isn't a URL: this isn't a discovery service")));
        };
        let members = self.registered(&token)?;
        if !members.is_empty() {
            return Err(Failure::world(format!("{url} gave the token {token}, to which {} already came", members.join(", "))));
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
            eprintln!("{token} is fresh: no member came to it");
            return Ok(());
        }
        print(&(members.join("\n") + "\n"))?;
        Err(Failure::Check(format!(
            "{token} is used: {} of {} members came to it\nthis is correct while the cluster runs; before you rebuild the cluster, run `{}`",
            members.len(),
            discovery.size,
            project.paths.command("discovery new")
        )))
    }

    fn registered(&self, token: &str) -> Result<Vec<String>, Failure> {
        let text = self.ask(token)?;
        let answer: Answer = serde_json::from_str(&text).with_context(|| format!("{token} isn't a token of a discovery service"))?;
        Ok(answer.node.nodes.into_iter().map(|node| node.value).collect())
    }

    fn ask(&self, url: &str) -> Result<String, Failure> {
        if self.network.offline {
            return Err(Failure::world(format!("`--offline` forbids to ask {url}")));
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

/// How the members of etcd find each other, if the profile doesn't name them.
fn discovery(draft: &Draft) -> Result<&Discovery, Failure> {
    draft.discovery().ok_or_else(|| {
        let problem = "this profile uses no discovery service: it has no `etcd: {bootstrap: {discovery: URL, size: N}}`";
        Failure::Check(problem.to_owned())
    })
}
