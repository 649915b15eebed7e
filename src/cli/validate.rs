//! `remuda validate`

use super::stock;
use super::{Format, Outcome, Source, compile, discovery, print};
use crate::diagnostic::{self, Diagnostics};
use crate::node::{self, Contexts};
use clap::Args;

/// Check a profile and say all that is wrong with it
///
/// Nothing is written. Every node is compiled, so that templates are checked too.
#[derive(Debug, Args)]
pub struct Validate {
    #[command(flatten)]
    source: Source,
}

impl Validate {
    pub fn run(self) -> Outcome {
        let mut compiled = compile::compile(&self.source)?;
        if let Some(cluster) = &compiled.cluster {
            let contexts = Contexts::new(cluster);
            for index in 0..cluster.nodes.len() {
                let mut own = Diagnostics::default();
                node::lower(cluster, &contexts, index, &mut own);
                compiled.found.extend_once(own);
            }
            compiled.found.extend(compile::expiring(cluster));
            compiled.found.extend(discovery::missing(&self.source, cluster)?);
            if let Some(lock) = stock::read_lock(&self.source)?.filter(|lock| !lock.pins_nothing()) {
                compiled.found.extend(stock::unlocked(&self.source, cluster, Some(&lock)));
            }
        }
        if self.source.format == Format::Json && !compiled.found.has_errors() {
            print(&format!("{:#}\n", diagnostic::json(&compiled.found, &compiled.sources)))?;
        }
        compile::report(&compiled.found, &compiled.sources, self.source.format)?;
        if let (Some(cluster), Format::Text) = (&compiled.cluster, self.source.format) {
            eprintln!("{}: {} nodes, nothing that would keep them from booting", cluster.name, cluster.nodes.len());
        }
        Ok(())
    }
}
