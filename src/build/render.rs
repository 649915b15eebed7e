//! Runs the programs that render kustomizations and charts: within bounds, and with nothing of this machine but the
//! files that they are pointed at. No registry, repository or cluster is asked.

use crate::program::{self, ProgramError, plain};
use camino::{Utf8Path, Utf8PathBuf};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The maximal size of what is rendered, in bytes: that of a file with manifests.
const LARGEST: u64 = super::manifests::LARGEST;
/// The longest that a program may take.
const TIME: Duration = Duration::from_secs(60);
/// A proxy that nobody is: what isn't pinned must not be fetched.
const NOWHERE: &str = "http://127.0.0.1:1";
/// How much of what a program says of its failure is shown: lines, and characters of each.
const SAID: (usize, usize) = (5, 500);

/// Renders with a home of its own, in which nothing else is.
pub(super) struct Renderer<'r> {
    /// The folder that paths are relative to.
    folder: &'r Utf8Path,
    home: TempDir,
}

impl<'r> Renderer<'r> {
    /// For paths relative to this folder.
    pub(super) fn new(folder: &'r Utf8Path) -> Result<Self, String> {
        let home = TempDir::new().map_err(|error| format!("no temporary folder: {error}"))?;
        Ok(Self { folder: if folder.as_str().is_empty() { Utf8Path::new(".") } else { folder }, home })
    }

    /// What a folder with a kustomization is rendered to; `None` if no program is there that does it.
    pub(super) fn kustomization(&self, folder: &Utf8Path) -> Option<Result<String, String>> {
        let (program, verb) =
            [("kustomize", "build"), ("kubectl", "kustomize")].into_iter().find_map(|(name, verb)| Some((program::find(name)?, verb)))?;
        Some(self.run(&program, &[verb.to_owned(), beside(folder)]))
    }

    /// What a chart is rendered to for an API server that serves this; `None` if there is no Helm.
    pub(super) fn chart(&self, chart: &RenderedChart, served: &BTreeSet<String>) -> Option<Result<String, String>> {
        let helm = program::find("helm")?;
        Some(self.arguments(chart, served).and_then(|arguments| self.run(&helm, &arguments)))
    }

    fn arguments(&self, chart: &RenderedChart, served: &BTreeSet<String>) -> Result<Vec<String>, String> {
        let path = match &chart.place {
            // Helm tells an archive by its name's end.
            Place::Cached(file) => {
                let named = self.in_home("chart.tgz");
                fs_err::copy(file, &named).map_err(|error| error.to_string())?;
                named
            }
            Place::Beside(path) => beside(path),
        };
        let mut arguments: Vec<String> = ["template", chart.name, &path, "--include-crds"].map(str::to_owned).into();
        arguments.extend(["--namespace", chart.namespace, "--kube-version", chart.kubernetes].map(str::to_owned));
        // By itself Helm knows fewer: charts would fall back on versions that are no longer served.
        arguments.extend(served.iter().flat_map(|name| ["--api-versions".to_owned(), name.clone()]));
        // Copies: Helm takes a comma in a path for the end of it.
        for (number, text) in chart.values.iter().enumerate() {
            let file = self.in_home(&format!("values-{}.yaml", number + 1));
            fs_err::write(&file, text).map_err(|error| error.to_string())?;
            arguments.extend(["--values".to_owned(), file]);
        }
        Ok(arguments)
    }

    fn in_home(&self, name: &str) -> String {
        self.home.path().join(name).to_string_lossy().into_owned()
    }

    /// What a program prints, or what it says of its failure.
    fn run(&self, program: &Path, arguments: &[String]) -> Result<String, String> {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder).env_clear();
        // With such a PATH it starts no other programs, like git.
        for name in ["HOME", "TMPDIR", "PATH"] {
            command.env(name, self.home.path());
        }
        command.env("LANG", "C.UTF-8").env("TZ", "UTC").env("KUBECONFIG", "/dev/null");
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            command.env(name, NOWHERE);
        }
        let output = program::run(&mut command, LARGEST, Instant::now() + TIME).map_err(|error| match error {
            ProgramError::Silent => format!("it hasn't ended after {} s", TIME.as_secs()),
            error => error.to_string(),
        })?;
        if !output.is_success {
            return Err(self.said(&output.stderr));
        }
        String::from_utf8(output.stdout).map_err(|_| "what it prints isn't UTF-8 text".to_owned())
    }

    /// The last lines of what a program says.
    fn said(&self, stderr: &str) -> String {
        let (lines, longest) = SAID;
        let home = format!("{}/", self.home.path().to_string_lossy());
        let said = stderr.replace(&home, "");
        let mut said: Vec<String> = said.lines().map(|line| plain(line.trim()).chars().take(longest).collect()).collect();
        said.retain(|line| !line.is_empty());
        match said.is_empty() {
            true => "it doesn't say why".to_owned(),
            false => said[said.len().saturating_sub(lines)..].join("; "),
        }
    }
}

/// A path that no program takes for an option.
fn beside(path: &Utf8Path) -> String {
    format!("./{path}")
}

/// A chart to render.
pub(super) struct RenderedChart<'c> {
    /// The release's name.
    pub name: &'c str,
    pub place: Place,
    pub namespace: &'c str,
    /// The version of the line's Kubernetes.
    pub kubernetes: &'c str,
    /// Texts of values, the strongest last.
    pub values: Vec<String>,
}

/// Where a chart is on this machine.
pub(super) enum Place {
    /// Relative to the profile's folder.
    Beside(Utf8PathBuf),
    /// In the cache, verified.
    Cached(Utf8PathBuf),
}
