//! Boot menus of the vendors' ISOs: what they boot, and our entry, which boots the same with additions.
//!
//! The vendors use a menu of isolinux (rancher/os, scripts/isolinux.cfg): each file that it
//! includes names a default, and the last one wins. For GRUB, our entry is a copy of the menu's
//! first one.

use camino::{Utf8Path, Utf8PathBuf};

/// The paths at which isolinux and GRUB look for their menus.
pub(super) const ISOLINUX: [&str; 3] = ["boot/isolinux/isolinux.cfg", "isolinux/isolinux.cfg", "isolinux.cfg"];
pub(super) const GRUB: [&str; 3] = ["boot/grub/grub.cfg", "boot/grub2/grub.cfg", "EFI/BOOT/grub.cfg"];
/// Our folder on the ISO. `ros install` copies the files of `/boot` to the disk, but no folder.
pub const FOLDER: &str = "boot/remuda";

/// What our entry adds to the vendor's.
pub(super) struct Entry<'e> {
    pub title: &'e str,
    /// Kernel parameters.
    pub words: &'e [String],
    /// The overlay's path on the ISO.
    pub overlay: &'e str,
}

/// The entry that isolinux boots by default.
#[derive(Debug, Default, PartialEq, Eq)]
struct Label {
    name: String,
    kernel: Option<String>,
    initrd: Option<String>,
    append: Option<String>,
}

/// Adds our entry to a menu of isolinux, in a new file that `path` then includes. Returns both
/// texts. `read` reads the ISO's files.
pub(super) fn isolinux(path: &str, read: &dyn Fn(&str) -> Option<String>, entry: &Entry) -> Result<(String, String), String> {
    let folder = Utf8Path::new(path).parent().unwrap_or(Utf8Path::new("")).to_owned();
    let mut menu = Menu::default();
    let text = read(path).ok_or_else(|| format!("{path} can't be read"))?;
    menu.read(&text, &folder, read, 0);
    let named = menu.labels.iter().find(|label| Some(&label.name) == menu.default.as_ref() && label.kernel.is_some());
    let Some(label) = named.or_else(|| menu.labels.iter().find(|label| label.kernel.is_some())) else {
        return Err(format!("{path} and the files that it includes have no entry with a kernel"));
    };
    let append = label.append.clone().or(menu.append).unwrap_or_default();
    let (initrd, append) = match &label.initrd {
        Some(initrd) => (initrd.clone(), append),
        None => split_initrd(&append).ok_or_else(|| format!("the entry {} in {path} has no initrd", label.name))?,
    };
    let absolute = |one: &str| normal(&folder.join(one));
    let kernel = absolute(label.kernel.as_deref().unwrap_or_default());
    let initrds: Vec<String> = initrd.split(',').map(absolute).collect();
    for file in initrds.iter().chain([&kernel]) {
        if read(file.trim_start_matches('/')).is_none() {
            return Err(format!("{path} boots {file}, which doesn't exist"));
        }
    }
    let append: Vec<&str> = append.split_whitespace().chain(entry.words.iter().map(String::as_str)).collect();
    let own = format!(
        "DEFAULT remuda\nLABEL remuda\n    SAY {title}\n    MENU LABEL {title}\n    MENU DEFAULT\n    KERNEL {kernel}\n    INITRD {},/{}\n    APPEND {}\n",
        initrds.join(","),
        entry.overlay,
        append.join(" "),
        title = entry.title,
    );
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    Ok((format!("{text}{newline}INCLUDE /{FOLDER}/isolinux.cfg\n"), own))
}

#[derive(Default)]
struct Menu {
    labels: Vec<Label>,
    default: Option<String>,
    /// `APPEND` outside all labels.
    append: Option<String>,
}

impl Menu {
    fn read(&mut self, text: &str, folder: &Utf8Path, read: &dyn Fn(&str) -> Option<String>, depth: usize) {
        for line in text.lines().map(str::trim) {
            let (word, rest) = line.split_once(char::is_whitespace).map_or((line, ""), |(word, rest)| (word, rest.trim()));
            let label = self.labels.last_mut();
            match (word.to_ascii_lowercase().as_str(), label) {
                ("default", _) => self.default = Some(rest.to_owned()),
                ("label", _) => self.labels.push(Label { name: rest.to_owned(), ..Label::default() }),
                ("kernel" | "linux", Some(label)) => label.kernel = Some(rest.to_owned()),
                ("initrd", Some(label)) => label.initrd = Some(rest.to_owned()),
                ("append", Some(label)) => label.append = Some(rest.to_owned()),
                ("append", None) => self.append = Some(rest.to_owned()),
                ("include", _) if depth < 8 => {
                    let file = normal(&folder.join(rest));
                    if let Some(text) = read(file.trim_start_matches('/')) {
                        self.read(&text, folder, read, depth + 1);
                    }
                }
                _ => {}
            }
        }
    }
}

/// Splits `initrd=…` from the other kernel parameters.
fn split_initrd(append: &str) -> Option<(String, String)> {
    let initrd = append.split_whitespace().find_map(|word| word.strip_prefix("initrd="))?;
    let others: Vec<&str> = append.split_whitespace().filter(|word| !word.starts_with("initrd=")).collect();
    Some((initrd.to_owned(), others.join(" ")))
}

/// The path from the ISO's root, without `.` and `..`.
fn normal(path: &Utf8Path) -> String {
    let mut whole = Utf8PathBuf::from("/");
    for part in path.as_str().split('/') {
        match part {
            "" | "." => {}
            ".." => {
                whole.pop();
            }
            part => whole.push(part),
        }
    }
    whole.into_string()
}

/// A menu of GRUB with our entry at its end, as the default.
pub(super) fn grub(path: &str, text: &str, entry: &Entry) -> Result<String, String> {
    let lines: Vec<&str> = text.lines().collect();
    let is_word = |line: &str, words: &[&str]| words.contains(&line.split_whitespace().next().unwrap_or_default());
    let first = lines.iter().position(|line| is_word(line, &["menuentry"]) && line.trim_end().ends_with('{'));
    let first = first.ok_or_else(|| format!("{path} has no menu entry"))?;
    let length = lines[first + 1..].iter().position(|line| line.trim() == "}").ok_or_else(|| format!("an entry in {path} doesn't end"))?;
    let body = &lines[first + 1..first + 1 + length];
    let mut own = vec![format!("menuentry \"{}\" --id remuda {{", entry.title)];
    let (mut kernels, mut initrds) = (0, 0);
    for line in body {
        if is_word(line, &["linux", "linux16", "linuxefi"]) {
            kernels += 1;
            let words: String = entry.words.iter().map(|word| format!(" {}", grub_word(word))).collect();
            own.push(format!("{line}{words}"));
        } else if is_word(line, &["initrd", "initrd16", "initrdefi"]) {
            initrds += 1;
            own.push(format!("{line} /{}", entry.overlay));
        } else {
            own.push((*line).to_owned());
        }
    }
    if (kernels, initrds) != (1, 1) {
        return Err(format!("the first entry in {path} has {kernels} kernels and {initrds} initrds"));
    }
    own.push("}".to_owned());
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    Ok(format!("{text}{newline}{}\nset default=remuda\n", own.join("\n")))
}

/// Quotes a word for GRUB's shell, if it needs that.
fn grub_word(word: &str) -> String {
    let is_plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "._-=/,:".contains(c));
    if is_plain { word.to_owned() } else { format!("'{word}'") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn entry<'e>(words: &'e [String]) -> Entry<'e> {
        Entry { title: "w of cluster c", words, overlay: "boot/remuda/w.cpio.gz" }
    }

    fn vendors() -> HashMap<&'static str, &'static str> {
        HashMap::from([
            (
                "boot/isolinux/isolinux.cfg",
                "UI menu.c32\nTIMEOUT 30\nINCLUDE ../global.cfg\nINCLUDE ../linux-previous.cfg\nINCLUDE ../linux-current.cfg\nMENU TITLE RancherOS",
            ),
            ("boot/global.cfg", "APPEND rancher.autologin=tty1\n"),
            (
                "boot/linux-current.cfg",
                "\nDEFAULT rancheros-v1\nLABEL rancheros-v1\n    KERNEL ../vmlinuz-4\n    INITRD ../initrd-v1\nLABEL rancheros-v1-debug\n    COM32 cmd.c32\n    APPEND rancheros-v1 rancher.debug=true\n",
            ),
            ("boot/vmlinuz-4", ""),
            ("boot/initrd-v1", ""),
        ])
    }

    #[test]
    fn the_vendors_menu_gets_an_entry_that_boots_the_same_with_the_overlay() {
        let files = vendors();
        let read = |path: &str| files.get(path).map(|text| (*text).to_owned());
        let words = ["console=ttyS0".to_owned()];
        let (menu, own) = isolinux("boot/isolinux/isolinux.cfg", &read, &entry(&words)).unwrap();
        assert!(menu.ends_with("MENU TITLE RancherOS\nINCLUDE /boot/remuda/isolinux.cfg\n"));
        assert!(own.contains("    KERNEL /boot/vmlinuz-4\n    INITRD /boot/initrd-v1,/boot/remuda/w.cpio.gz\n    APPEND rancher.autologin=tty1 console=ttyS0\n"), "{own}");
    }

    #[test]
    fn a_menu_without_a_kernel_or_with_one_that_is_not_there_is_refused() {
        for gone in ["boot/linux-current.cfg", "boot/initrd-v1"] {
            let mut files = vendors();
            files.remove(gone);
            let read = |path: &str| files.get(path).map(|text| (*text).to_owned());
            assert!(isolinux("boot/isolinux/isolinux.cfg", &read, &entry(&[])).is_err(), "{gone}");
        }
    }

    #[test]
    fn grubs_first_entry_is_copied_with_more_and_chosen() {
        let text = "set timeout=1\nmenuentry \"RancherOS\" {\n  set root=(cd0)\n  linux /boot/vmlinuz a=b\n  initrd /boot/initrd\n}\n";
        let words = ["rancher.state.autoformat=[/dev/sda]".to_owned()];
        let menu = grub("grub.cfg", text, &entry(&words)).unwrap();
        let own = "menuentry \"w of cluster c\" --id remuda {\n  set root=(cd0)\n  linux /boot/vmlinuz a=b 'rancher.state.autoformat=[/dev/sda]'\n  initrd /boot/initrd /boot/remuda/w.cpio.gz\n}\nset default=remuda\n";
        assert_eq!(menu, format!("{text}{own}"));
        assert!(grub("grub.cfg", "menuentry \"a\" {\n  chainloader +1\n}\n", &entry(&[])).is_err());
        assert!(grub("grub.cfg", "set a=b\n", &entry(&[])).is_err());
    }
}
