//! What dockerd would exit on.

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::profile::Docker;
use crate::service::form;

/// Reports an argument on which dockerd exits.
pub fn check(given: &Docker, found: &mut Diagnostics) {
    const STORAGE: [&str; 7] = ["overlay2", "overlay", "aufs", "btrfs", "devicemapper", "vfs", "zfs"];
    let mut exits = |span, problem: String, help: &str| {
        found.push(Diagnostic::new(Code::InvalidValue, span, problem).why("dockerd exits on it: no pod would run").help(help));
    };
    if let Some(driver) = given.storage_driver.get().filter(|driver| !driver.varies() && !STORAGE.contains(&driver.text.as_str())) {
        exits(
            driver.span,
            format!("`{}` isn't a storage driver", driver.text),
            "remove it (the default is overlay2), or write another driver's name",
        );
    }
    if let Some(driver) = given.log_driver.get().filter(|driver| !driver.varies())
        && let Some(misfit) = form::misfit("log_driver", &driver.text).filter(|_| driver.text != "local")
    {
        exits(driver.span, misfit.problem, misfit.help);
    }
    let driver = given.log_driver.value().map(|driver| driver.text.as_str());
    for (option, value) in given.log_opts.iter() {
        let Some(value) = value.get().filter(|value| !value.varies()) else { continue };
        if let Some(misfit) = form::misfit_log_opt(driver, &option.value, &value.text, false) {
            exits(option.span, misfit.problem, misfit.help);
        }
    }
}
