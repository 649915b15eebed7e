//! Where etcd keeps its data.

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::plan::folders::{OF_OTHERS, below_others, is_below, volatile};
use crate::profile::Profile;

/// The folder of etcd's data must survive a boot and belong only to etcd.
pub(crate) fn data_dir(profile: &Profile, found: &mut Diagnostics) {
    let Some(given) = profile.etcd.data_dir.get() else { return };
    if let Some(volatile) = volatile(&given.0) {
        found.push(
            Diagnostic::new(Code::VolatileEtcd, given.span, format!("etcd's data folder {} is below {volatile}", given.0))
                .why(format!("{volatile} is empty after every boot: the cluster would lose all its objects"))
                .help("use a path on the state partition, like /var/lib/etcd"),
        );
    }
    let holds_others = |folder: &&str| given.0 == **folder || is_below(folder, &given.0);
    if below_others(&given.0) || OF_OTHERS.iter().any(holds_others) {
        found.push(
            Diagnostic::new(Code::FolderOfOthers, given.span, format!("{} is a folder of the OS or of other services", given.0))
                .why("etcd removes everybody else's access to its folder")
                .help("use a separate folder, like /var/lib/etcd"),
        );
    }
}
