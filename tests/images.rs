//! Components from URLs and archives: the lock, the cache, and what is done to them.

// Which of many archives a failure was about.
#![allow(clippy::print_stderr)]

mod common;
#[path = "common/server.rs"]
mod server;

use common::{Project, files, remuda, sha256, text};
use server::{Answer, Server};
use sha2::Digest;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Instant;

const PROFILE: &str = "\
cluster: c
target: rancheros-1.5
line: tiny
network: {nodes: 10.0.0.0/16, gateway: 10.0.0.1}
defaults:
  ssh_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN1YdxBpNlzxDqfJyw/QKow1F+wvG9hXGoqiysfJOn5Y a@b]
nodes:
  one: {roles: [control-plane, worker], address: 10.0.0.2}
images:
  components:
";
/// The time of Debian's packages.
const SNAPSHOT: &str = "20260102T000000Z";
const LINE: &str = include_str!("../templates/kubernetes-1.20/line.yaml");

/// A folder with a line whose components are small files, and the profile `p.yaml` with `components`.
struct Yard {
    project: Project,
    server: Server,
}

impl Yard {
    fn new() -> Self {
        let project = Project::empty();
        let path = project.path();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/kubernetes-1.20"), &path.join("lines/tiny"));
        let line = LINE.replace("architectures: [amd64]", "architectures: [amd64, arm64]");
        fs::write(path.join("lines/tiny/line.yaml"), line).unwrap();
        for file in [
            "etcd-3.4.23/etcd",
            "etcd-3.4.23/etcdctl",
            "flannel-0.28.9/flanneld",
            "kubernetes-1.20.2/kube-apiserver",
            "kubernetes-1.20.2/kube-controller-manager",
            "kubernetes-1.20.2/kube-scheduler",
            "kubernetes-1.20.2/kubelet",
            "kubernetes-1.20.2/kubectl",
            "kubernetes-1.20.2/kube-proxy",
            "pause-3.2/pause",
            "coredns-1.10.1/coredns",
        ] {
            for components in ["components", "components/arm64"] {
                let to = path.join(components).join(file);
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                fs::write(&to, format!("{file} of {components}\n")).unwrap();
            }
        }
        for components in ["components", "components/arm64"] {
            fs::create_dir_all(path.join(components).join("userland-12")).unwrap();
            fs::write(path.join(components).join("userland-12/rootfs.tar"), tar(&[("bin/sh", b"shell")])).unwrap();
        }
        Self { project, server: Server::start() }
    }

    fn path(&self) -> &Path {
        self.project.path()
    }

    /// Writes the profile.
    fn components(&self, components: &str) {
        let components: String = components.lines().map(|line| format!("    {line}\n")).collect();
        fs::write(self.path().join("p.yaml"), format!("{PROFILE}{components}")).unwrap();
    }

    fn run(&self, words: &[&str]) -> Output {
        self.run_in(self.path(), words)
    }

    fn run_in(&self, folder: &Path, words: &[&str]) -> Output {
        let (more, flags): (&[&str], &[&str]) = match words[0] {
            "lock" => (&["lock"], &["--retries", "1", "--timeout", "2"]),
            "gen" => (&["gen"], &["--no-seal", "--retries", "1", "--timeout", "2"]),
            _ => (&words[..2], &[]),
        };
        let rest = &words[more.len()..];
        let mut command = remuda(folder);
        command.env("XDG_CACHE_HOME", self.path().join("cache")).args(more).args(["p.yaml", "--templates", "lines"]).args(flags).args(rest);
        command.output().unwrap()
    }

    fn ok(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?}: {}", text(&output.stderr));
        text(&output.stderr) + &text(&output.stdout)
    }

    /// Fails with this exit code; what it says.
    fn fails(&self, code: i32, words: &[&str]) -> String {
        let output = self.run(words);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
        said
    }

    /// The number of blobs in the cache.
    fn blobs(&self) -> usize {
        let folder = self.path().join("cache/remuda/blobs");
        if folder.exists() { files(&folder).len() } else { 0 }
    }

    /// The layers of the image `name`, the lowest first.
    fn layers(&self, engine: &str, name: &str) -> Vec<Vec<u8>> {
        let folder = self.path().join("out/c/images");
        let archive = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let is_it = |path: &std::path::PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.starts_with(&format!("{engine}-")) && name.ends_with(".tar")
        };
        let archive = archive.into_iter().find(is_it).unwrap();
        let members = untar(&fs::read(archive).unwrap());
        let manifest: serde_json::Value = serde_json::from_slice(&members["manifest.json"]).unwrap();
        let image = manifest.as_array().unwrap().iter().find(|image| image["RepoTags"][0] == name).unwrap();
        image["Layers"].as_array().unwrap().iter().map(|layer| members[layer.as_str().unwrap()].clone()).collect()
    }

    /// A file of the image `name`, through all its layers.
    fn in_image(&self, engine: &str, name: &str, path: &str) -> Option<Vec<u8>> {
        self.layers(engine, name).iter().rev().find_map(|layer| untar(layer).remove(path))
    }

    /// Has remuda know the root filesystem `name`, of these packages.
    fn debian(&self, name: &str, debs: &[(&str, Vec<u8>)], layout: &str) {
        let names = debs.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let wanted = format!("unused: []\nlayout: {{}}\nrootfs: {{{name}: {{wanted: [{names}], layout: {layout}}}}}\n");
        let mut all = String::new();
        for (name, bytes) in debs {
            let path = format!("pool/{name}_1_amd64.deb");
            let (size, digest) = (bytes.len(), sha256(bytes));
            all += &format!(
                "    {name}: {{version: '1:1+b1', path: debian/{path}, digest: 'sha256:{digest}', size: {size}, licenses: [GPL-2+]}}\n"
            );
            self.server.put(&format!("/archive/debian/{SNAPSHOT}/{path}"), Answer::Bytes(bytes.clone()));
        }
        let pinned = format!(
            "snapshot: {SNAPSHOT}\ncommands: [sh, ls]\nrootfs: {{{name}: {{amd64: [{names}], arm64: [{names}]}}}}\npackages:\n  amd64:\n{all}  arm64:\n{all}"
        );
        fs::create_dir_all(self.path().join("lines/debian")).unwrap();
        fs::write(self.path().join("lines/debian/rootfs.yaml"), wanted).unwrap();
        fs::write(self.path().join("lines/debian/packages.yaml"), pinned).unwrap();
    }

    /// Has remuda make the image `remuda/mine:1` of these packages.
    fn packages(&self, debs: &[(&str, Vec<u8>)], layout: &str) {
        self.debian("tiny", debs, layout);
        self.components("mine: {version: '1', engine: docker, from: {debian: tiny}}");
    }

    /// The word for a mirror of Debian's packages.
    fn mirror(&self) -> String {
        format!("snapshot.debian.org={}", self.server.url)
    }
}

fn copy(from: &Path, to: &Path) {
    for (path, bytes) in files(from) {
        fs::create_dir_all(to.join(&path).parent().unwrap()).unwrap();
        fs::write(to.join(path), bytes).unwrap();
    }
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        tar.append_data(&mut header, path, *bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

/// An archive with one entry whose name or link isn't checked by anybody.
fn entry(kind: tar::EntryType, name: &str, link: &str, size: u64) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o755);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.resize(512 + size.next_multiple_of(512) as usize + 1024, 0);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// By Python: the crate that reads it here doesn't write it.
fn xz(bytes: &[u8]) -> Vec<u8> {
    let script = "import lzma, sys; sys.stdout.buffer.write(lzma.compress(sys.stdin.buffer.read()))";
    let mut command = std::process::Command::new("python3");
    let mut child = command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    child.wait_with_output().unwrap().stdout
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

/// An archive of `ar`.
fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut all = b"!<arch>\n".to_vec();
    for (name, bytes) in members {
        all.extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100644, bytes.len()).bytes());
        all.extend(*bytes);
        all.resize(all.len().next_multiple_of(2), b'\n');
    }
    all
}

/// A package with this archive of files.
fn deb(name: &str, data: &[u8]) -> Vec<u8> {
    ar(&[("debian-binary", b"2.0\n"), ("control.tar.gz", &gzip(&tar(&[("control", b"Package: p\n")]))), (name, data)])
}

/// An archive of entries: path, kind, mode, and the link's target or the content.
fn tree(entries: &[(&str, tar::EntryType, u32, &str)]) -> Vec<u8> {
    let mut all = Vec::new();
    for (path, kind, mode, content) in entries {
        let is_file = *kind == tar::EntryType::Regular;
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        if !is_file {
            header.as_old_mut().linkname[..content.len()].copy_from_slice(content.as_bytes());
        }
        header.set_entry_type(*kind);
        header.set_mode(*mode);
        header.set_uid(7);
        header.set_gid(8);
        header.set_mtime(1_700_000_000);
        header.set_size(if is_file { content.len() as u64 } else { 0 });
        header.set_cksum();
        all.extend(header.as_bytes());
        if is_file {
            all.extend(content.bytes());
        }
        all.resize(all.len().next_multiple_of(512), 0);
    }
    all.resize(all.len() + 1024, 0);
    all
}

fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (path, bytes) in files {
        zip.start_file(*path, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn untar(bytes: &[u8]) -> std::collections::BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(bytes);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (entry.path().unwrap().to_str().unwrap().to_owned(), bytes)
    });
    entries.collect()
}

/// Bytes that nothing shortens.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 1_u64;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u8
    })
    .take(size)
    .collect()
}

#[test]
fn files_folders_and_members_of_archives_come_from_urls_and_from_beside_the_profile() {
    let yard = Yard::new();
    let release: &[(&str, &[u8])] = &[("r-1/tool", b"the tool"), ("r-1/lib/a", b"a"), ("r-1/lib/b", b"b")];
    let gz = yard.server.put("/r.tar.gz", Answer::Bytes(gzip(&tar(release))));
    let plain = yard.server.put("/r.tar", Answer::Bytes(tar(release)));
    let zipped = yard.server.put("/r.zip", Answer::Bytes(zip(release)));
    fs::create_dir_all(yard.path().join("mine/deep")).unwrap();
    fs::write(yard.path().join("mine/deep/file"), "beside").unwrap();
    yard.components(&format!(
        "pause: {{files: {{/pause: {{url: '{gz}', sha256: {}, member: r-1/tool}}, /lib: {{url: '{plain}', member: r-1/lib/}}}}}}
mine:
  version: '1'
  engine: docker
  from: {{rootfs: {{url: '{zipped}', member: r-1/lib/}}}}
  files: {{/opt/mine: mine}}",
        sha256(&gzip(&tar(release)))
    ));
    let said = yard.fails(1, &["gen"]);
    assert!(said.contains("run `remuda lock p.yaml` and commit p.lock"), "{said}");
    assert!(!yard.path().join("out").exists());
    yard.ok(&["lock"]);
    let lock = fs::read_to_string(yard.path().join("p.lock")).unwrap();
    yard.ok(&["lock", "--offline"]);
    assert_eq!(lock, fs::read_to_string(yard.path().join("p.lock")).unwrap(), "a lock is stable");
    yard.server.forget();
    yard.ok(&["gen", "--offline"]);
    assert!(yard.server.asked("/r.tar").is_empty(), "--offline asks nobody");
    let in_image = |name, path| yard.in_image("docker", name, path).map(|bytes| String::from_utf8(bytes).unwrap());
    assert_eq!(in_image("remuda/pause:3.2", "pause").as_deref(), Some("the tool"));
    assert_eq!(in_image("remuda/pause:3.2", "lib/a").as_deref(), Some("a"));
    assert_eq!(in_image("remuda/mine:1", "b").as_deref(), Some("b"));
    assert_eq!(in_image("remuda/mine:1", "opt/mine/deep/file").as_deref(), Some("beside"));
    assert_eq!(in_image("remuda/mine:1", "tool"), None);
}

#[test]
fn what_is_beside_needs_no_lock_and_the_same_input_gives_the_same_bytes() {
    let yard = Yard::new();
    fs::write(yard.path().join("other"), "other").unwrap();
    yard.components("pause: {files: {/pause: other}}");
    assert!(yard.ok(&["lock"]).contains("nothing to lock"));
    yard.ok(&["gen"]);
    assert!(!yard.path().join("p.lock").exists());
    let first = files(&yard.path().join("out/c/images"));
    let elsewhere = yard.path().join("a much longer name of another place");
    for folder in ["components", "lines"] {
        copy(&yard.path().join(folder), &elsewhere.join(folder));
    }
    for file in ["p.yaml", "other"] {
        fs::copy(yard.path().join(file), elsewhere.join(file)).unwrap();
    }
    let mut command = std::process::Command::new("sh");
    command.arg("-c").arg("umask 077; exec \"$0\" gen p.yaml --templates lines --no-seal").arg(env!("CARGO_BIN_EXE_remuda"));
    assert!(command.current_dir(&elsewhere).env("RAYON_NUM_THREADS", "1").env("TZ", "Asia/Tokyo").status().unwrap().success());
    let second = files(&elsewhere.join("out/c/images"));
    let tarballs = |all: &std::collections::BTreeMap<std::path::PathBuf, Vec<u8>>| {
        all.iter()
            .filter(|(path, _)| !path.to_str().unwrap().starts_with('.'))
            .map(|(path, bytes)| (path.clone(), bytes.clone()))
            .collect::<Vec<_>>()
    };
    assert!(tarballs(&first) == tarballs(&second), "the tarballs differ");
}

#[test]
fn a_download_goes_on_where_it_broke_off_also_in_another_run() {
    let yard = Yard::new();
    let bytes = noise(400_000);
    let url = yard.server.put("/tool", Answer::Dies { bytes: bytes.clone(), after: 90_000 });
    yard.components(&format!("pause: {{files: {{/pause: {{url: '{url}', sha256: {}}}}}}}", sha256(&bytes)));
    yard.ok(&["lock"]);
    let began = yard.server.asked("/tool");
    assert!(began.len() >= 5 && began.windows(2).all(|two| two[0] < two[1]), "{began:?}");

    // A server that is silent after a part, and then another run.
    fs::remove_dir_all(yard.path().join("cache")).unwrap();
    yard.server.forget();
    yard.server.put("/tool", Answer::DiesWithoutParts { bytes: bytes.clone(), after: 90_000 });
    let said = yard.fails(3, &["gen"]);
    assert!(said.contains(&url) && said.contains("broke"), "{said}");
    assert_eq!(yard.blobs(), 0);
    yard.server.forget();
    yard.server.put("/tool", Answer::Bytes(bytes.clone()));
    yard.ok(&["gen"]);
    assert_eq!(yard.server.asked("/tool"), [90_000], "the second run begins where the first ended");
    assert_eq!(yard.in_image("docker", "remuda/pause:3.2", "pause").unwrap(), bytes);
}

#[test]
fn a_bad_server_is_told_of_clearly_and_leaves_cache_and_tree_as_they_were() {
    let yard = Yard::new();
    let bytes = noise(100_000);
    let url = yard.server.put("/tool", Answer::Bytes(bytes.clone()));
    yard.components(&format!("pause: {{files: {{/pause: {{url: '{url}'}}}}}}"));
    yard.ok(&["lock"]);
    yard.ok(&["gen"]);
    let tree = files(&yard.path().join("out"));
    let mut tampered = bytes.clone();
    tampered[5000] ^= 1;
    let status = |status, headers| Answer::Status { status, headers, times: 100, bytes: Vec::new() };
    for (answer, part) in [
        (status("401 Unauthorized", ""), "401: it needs a login"),
        (status("404 Not Found", ""), "404: it doesn't exist"),
        (status("429 Too Many Requests", "Retry-After: 1\r\n"), "429: too many requests"),
        (status("500 Oops", ""), "500: the server has a problem"),
        (Answer::Redirect("/tool"), "redirects endlessly"),
        (Answer::Bytes(tampered), "somebody changed it, or the transfer damaged it"),
        (Answer::Bytes(bytes[..99_999].to_vec()), "it has 99999 bytes, but the lock says 100000"),
        (Answer::DiesWithoutParts { bytes: bytes.clone(), after: 100 }, "broke"),
        (Answer::Stalls { bytes: bytes.clone(), after: 100 }, "broke"),
        (Answer::Endless, "but the lock says 100000"),
    ] {
        fs::remove_dir_all(yard.path().join("cache")).unwrap();
        yard.server.put("/tool", answer);
        for words in [&["gen"][..], &["image", "fetch", "--retries", "1", "--timeout", "2"]] {
            let said = yard.fails(3, words);
            assert!(said.contains(&url) && said.contains(part), "{part}: {said}");
            assert_eq!(yard.blobs(), 0, "{part}");
        }
        assert!(files(&yard.path().join("out")) == tree, "{part}: the out tree changed");
    }
    // A server that recovers.
    yard.server
        .put("/tool", Answer::Status { status: "429 Too Many Requests", headers: "Retry-After: 1\r\n", times: 1, bytes: bytes.clone() });
    let started = Instant::now();
    yard.ok(&["image", "fetch"]);
    assert!(started.elapsed().as_secs() >= 1, "it was asked to wait");
    assert_eq!(yard.blobs(), 1);
}

#[test]
fn the_digest_that_the_profile_names_must_be_the_one_that_comes_and_the_one_that_is_locked() {
    let yard = Yard::new();
    let url = yard.server.put("/tool", Answer::Bytes(b"tool".to_vec()));
    let with = |digest: &str| yard.components(&format!("pause: {{files: {{/pause: {{url: '{url}', {digest}}}}}}}"));
    with(&format!("sha256: {}", sha256(b"other")));
    let said = yard.fails(3, &["lock"]);
    assert!(said.contains(&sha256(b"tool")) && said.contains(&sha256(b"other")), "{said}");
    assert!(!yard.path().join("p.lock").exists() && yard.blobs() == 0);
    let sha512: String = sha2::Sha512::digest(b"tool").iter().map(|byte| format!("{byte:02x}")).collect();
    with(&format!("sha512: {}", sha512.replace('a', "b")));
    yard.fails(3, &["lock"]);
    with(&format!("sha512: {sha512}"));
    yard.ok(&["lock"]);
    yard.ok(&["gen"]);
    with(&format!("sha256: {}", sha256(b"other")));
    for words in
        [&["gen"][..], &["gen", "--check"], &["gen", "--no-images"], &["image", "build"], &["image", "fetch"], &["image", "verify"]]
    {
        let said = yard.fails(1, words);
        assert!(said.contains("error[not-locked]") && said.contains("p.yaml:11") && said.contains("run `remuda lock p.yaml`"), "{said}");
    }
}

/// The yard's line, with the server as what its components' projects release on. What they released: path → bytes.
fn released(yard: &Yard) -> Vec<(&'static str, Vec<u8>)> {
    let path = yard.path().join("lines");
    let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let base = fs::read_to_string(templates.join("kubernetes/base.yaml")).unwrap();
    fs::create_dir_all(path.join("kubernetes")).unwrap();
    // One host is asked itself, the others have a mirror.
    let base = base.replace("https://dl.k8s.io", &yard.server.url).replace("https://github.com", "http://github.invalid");
    fs::write(path.join("kubernetes/base.yaml"), base).unwrap();
    let line = fs::read_to_string(path.join("tiny/line.yaml")).unwrap();
    fs::write(path.join("tiny/line.yaml"), line.replace("registry.k8s.io", "registry.invalid")).unwrap();
    copy(&templates.join("addons/dns"), &path.join("addons/dns"));
    let addon = fs::read_to_string(path.join("addons/dns/addon.yaml")).unwrap();
    fs::write(path.join("addons/dns/addon.yaml"), addon.replace("https://github.com", "http://github.invalid")).unwrap();
    yard.debian("userland-12", &[("shell", deb("data.tar.gz", &gzip(&tar(&[("bin/sh", b"shell")]))))], "{}");
    fs::remove_dir_all(yard.path().join("components")).unwrap();
    let profile = PROFILE.replace("images:\n  components:\n", "images: {source: released}\n");
    fs::write(yard.path().join("p.yaml"), profile).unwrap();
    let programs = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl", "kube-proxy"];
    let programs = programs.map(|name| (format!("kubernetes/server/bin/{name}"), [name.as_bytes(), &noise(50_000)].concat()));
    let server: Vec<(&str, &[u8])> = programs.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
    let etcd: &[(&str, &[u8])] =
        &[("etcd-v3.4.23-linux-amd64/etcd", b"released etcd"), ("etcd-v3.4.23-linux-amd64/etcdctl", b"released etcdctl")];
    vec![
        ("/v1.20.2/kubernetes-server-linux-amd64.tar.gz", gzip(&tar(&server))),
        ("/etcd-io/etcd/releases/download/v3.4.23/etcd-v3.4.23-linux-amd64.tar.gz", gzip(&tar(etcd))),
        ("/flannel-io/flannel/releases/download/v0.28.9/flanneld-amd64", b"released flanneld".to_vec()),
        ("/coredns/coredns/releases/download/v1.10.1/coredns_1.10.1_linux_amd64.tgz", gzip(&tar(&[("coredns", b"released coredns")]))),
    ]
}

/// Words for the mirrors of hosts that don't exist.
fn mirrors(yard: &Yard) -> [String; 6] {
    let of = |host: &str| format!("{host}.invalid={}", yard.server.url);
    [of("github"), of("registry"), yard.mirror()].map(|mirror| ["--mirror".to_owned(), mirror]).concat().try_into().unwrap()
}

/// The digest of the pause image that the server has.
fn pause(yard: &Yard) -> String {
    let layer = tar(&[("pause", b"released pause")]);
    let config = format!(
        r#"{{"os": "linux", "architecture": "amd64", "config": {{"Entrypoint": ["/pause"]}}, "rootfs": {{"type": "layers", "diff_ids": ["sha256:{}"]}}}}"#,
        sha256(&layer)
    );
    let described = |bytes: &[u8]| format!(r#"{{"digest": "sha256:{}", "size": {}}}"#, sha256(bytes), bytes.len());
    let manifest = format!(r#"{{"schemaVersion": 2, "config": {}, "layers": [{}]}}"#, described(config.as_bytes()), described(&layer));
    for bytes in [config.into_bytes(), layer] {
        yard.server.put(&format!("/v2/pause/blobs/sha256:{}", sha256(&bytes)), Answer::Bytes(bytes));
    }
    let digest = format!("sha256:{}", sha256(manifest.as_bytes()));
    yard.server.put(&format!("/v2/pause/manifests/{digest}"), Answer::Bytes(manifest.into_bytes()));
    digest
}

#[test]
fn released_components_come_from_their_projects_and_go_over_an_air_gap() {
    let yard = Yard::new();
    let files = released(&yard);
    let (server, etcd) = (files[0].clone(), files[1].clone());
    let sha512: String = sha2::Sha512::digest(&server.1).iter().map(|byte| format!("{byte:02x}")).collect();
    let records = format!(
        "- record: a changelog\n  digests:\n    {}{}: sha512:{sha512}\n    registry.invalid/pause:3.2: {}\n",
        yard.server.url,
        server.0,
        pause(&yard)
    );
    fs::write(yard.path().join("lines/releases.yaml"), records).unwrap();
    // As GitHub does; and what breaks off goes on.
    yard.server.put(etcd.0, Answer::Redirect("/objects/etcd"));
    yard.server.put("/objects/etcd", Answer::Bytes(etcd.1));
    yard.server.put(server.0, Answer::Dies { bytes: server.1.clone(), after: server.1.len() / 3 + 1 });
    yard.server.put(files[2].0, Answer::Status { status: "503 Busy", headers: "", times: 1, bytes: files[2].1.clone() });
    yard.server.put(files[3].0, Answer::Bytes(files[3].1.clone()));
    let mirrors = mirrors(&yard);
    let with =
        |words: &[&'static str]| words.iter().copied().chain(mirrors.iter().map(String::as_str)).map(str::to_owned).collect::<Vec<_>>();
    let words = |words: &[String]| yard.ok(&words.iter().map(String::as_str).collect::<Vec<_>>());

    let said = words(&with(&["lock"]));
    assert!(!said.contains("built-parts"), "nothing is built: {said}");
    let warned = said.split("no digest of these is on record").nth(1).unwrap_or_else(|| panic!("{said}"));
    for (name, is_warned) in [("flanneld-amd64 sha256:", true), ("etcd-v3.4.23", true), ("kubernetes-server", false), ("pause", false)] {
        assert_eq!(warned.split("p.lock: ").next().unwrap().contains(name), is_warned, "{name}: {said}");
    }
    let began = yard.server.asked(server.0);
    assert!(began.len() == 3 && began[0] == 0 && began[1] < began[2], "{began:?}");
    let said = words(&with(&["lock"]));
    assert!(said.contains("unchanged") && !said.contains("on record"), "only new pins are warned of: {said}");

    words(&with(&["gen"]));
    let check = || {
        let in_image = |engine, name, path| yard.in_image(engine, name, path).map(|bytes| bytes[..8.min(bytes.len())].to_vec());
        for (engine, name, path, begins) in [
            ("system-docker", "remuda/kube-apiserver:1.20.2", "usr/local/bin/kube-apiserver", "kube-api"),
            ("system-docker", "remuda/kubelet:1.20.2", "usr/local/bin/kubectl", "kubectl"),
            ("system-docker", "remuda/etcd:3.4.23", "usr/local/bin/etcdctl", "released"),
            ("system-docker", "remuda/flannel:0.28.9", "usr/local/bin/flanneld", "released"),
            ("docker", "remuda/pause:3.2", "pause", "released"),
            ("docker", "remuda/coredns:1.10.1", "coredns", "released"),
            ("system-docker", "remuda/etcd:3.4.23", "bin/sh", "shell"),
        ] {
            let got = in_image(engine, name, path).unwrap_or_else(|| panic!("{name} has no {path}"));
            assert!(got.starts_with(&begins.as_bytes()[..begins.len().min(8)]), "{name}, {path}: {got:?}");
        }
    };
    check();
    let manifest = fs::read_to_string(yard.path().join("out/c/manifest.json")).unwrap();
    assert!(manifest.contains(r#""components": "released""#), "{manifest}");

    // Over the air gap: no cache, no network, nothing beside the profile.
    words(&with(&["image", "fetch", "--to", "carried"]));
    fs::rename(yard.path().join("cache"), yard.path().join("elsewhere")).unwrap();
    fs::remove_dir_all(yard.path().join("out/c/images")).unwrap();
    let said = yard.fails(3, &["gen", "--offline"]);
    assert!(said.contains("aren't in the cache") && said.contains("/pool/shell_1_amd64.deb"), "{said}");
    yard.server.forget();
    yard.ok(&["gen", "--offline", "--components", "carried"]);
    assert!(yard.server.asked(server.0).is_empty());
    check();

    // What was damaged on the way isn't used.
    fs::remove_dir_all(yard.path().join("cache")).unwrap();
    let carried = common::files(&yard.path().join("carried/blobs"));
    let (path, mut bytes) = carried.into_iter().max_by_key(|(_, bytes)| bytes.len()).unwrap();
    bytes[100] ^= 1;
    let path = yard.path().join("carried/blobs").join(path);
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    let said = yard.fails(3, &["gen", "--offline", "--components", "carried"]);
    assert!(said.contains("isn't what its name says"), "{said}");
}

#[test]
fn a_release_that_is_wrong_or_absent_is_refused_by_name() {
    let yard = Yard::new();
    let files = released(&yard);
    let digest = pause(&yard);
    for (path, bytes) in &files {
        yard.server.put(path, Answer::Bytes(bytes.clone()));
    }
    let url = format!("{}{}", yard.server.url, files[0].0);
    let records = |sha256: &str| {
        let text = format!("- record: r\n  digests:\n    {url}: sha256:{sha256}\n    registry.invalid/pause:3.2: {digest}\n");
        fs::write(yard.path().join("lines/releases.yaml"), text).unwrap();
    };
    let mirrors = mirrors(&yard);
    let words: Vec<&str> = ["lock"].into_iter().chain(mirrors.iter().map(String::as_str)).collect();
    records(&sha256(b"what the project released"));
    let said = yard.fails(3, &words);
    assert!(said.contains(&url) && said.contains("somebody changed it") && said.contains("base.yaml:"), "{said}");
    assert!(!yard.path().join("p.lock").exists());
    // The project released nothing for this processor.
    records(&sha256(&files[0].1));
    yard.ok(&words);
    let profile = fs::read_to_string(yard.path().join("p.yaml")).unwrap();
    fs::write(yard.path().join("p.yaml"), profile.replace("address: 10.0.0.2}", "address: 10.0.0.2, arch: arm64}")).unwrap();
    let said = yard.fails(3, &words);
    assert!(said.contains("kubernetes-server-linux-arm64.tar.gz") && said.contains("404: it doesn't exist"), "{said}");
    fs::write(yard.path().join("lines/releases.yaml"), "- record: r\n  digests: {a: sha256:1}\n").unwrap();
    let said = yard.fails(1, &words);
    assert!(said.contains("releases.yaml"), "{said}");
}

const LAYOUT: &str = "{
  merged: {bin: usr/bin, lib: usr/lib}, joined: {etc/ca.crt: 'usr/share/ca/*/*.crt'}, removed: [usr/share/doc, 'usr/share/c*', 'var/*'],
  links: {usr/sbin/tables: other}, folders: {tmp: '1777', var/log: '0755'}, files: {etc/passwd: \"root\\n\"},
  commands: {to: busybox, in: [usr/bin, usr/sbin]}}";

#[test]
fn packages_of_debian_become_a_root_filesystem() {
    use tar::EntryType::{Directory, Link, Regular, Symlink};
    let yard = Yard::new();
    let first = tree(&[
        ("./", Directory, 0o755, ""),
        ("./bin/", Directory, 0o755, ""),
        ("./bin/su", Regular, 0o4755, "su"),
        ("./bin/zz", Regular, 0o755, "zz"),
        ("./usr/bin/aa", Link, 0o755, "./bin/zz"),
        ("./usr/share/doc/su/copyright", Regular, 0o644, "mine"),
        ("./usr/share/ca/a/2.crt", Regular, 0o644, "two "),
        ("./usr/share/ca/a/1.crt", Regular, 0o644, "one "),
        ("./var/lib/dpkg", Directory, 0o755, ""),
    ]);
    let second = tree(&[
        ("./usr/", Directory, 0o755, ""),
        ("./usr/sbin/", Directory, 0o750, ""),
        ("./usr/sbin/ls", Regular, 0o755, "ls"),
        ("./usr/sbin/tables", Symlink, 0o777, "/etc/alternatives/tables"),
    ]);
    let third = tree(&[("./lib/x/libc.so", Regular, 0o644, "libc"), ("./usr/sbin/", Directory, 0o755, "")]);
    let fourth = tree(&[("./usr/bin/busybox", Regular, 0o755, "busybox")]);
    let debs = [
        ("a", deb("data.tar.xz", &xz(&first))),
        ("b", deb("data.tar.zst", &zstd(&second))),
        ("c", deb("data.tar.gz", &gzip(&third))),
        ("d", deb("data.tar", &fourth)),
    ];
    yard.packages(&debs, LAYOUT);
    let mirror = yard.mirror();
    assert!(yard.fails(1, &["gen"]).contains("not-locked"));
    let said = yard.ok(&["lock", "--mirror", &mirror]);
    assert!(!said.contains("on record"), "all digests are known: {said}");
    yard.ok(&["gen", "--offline"]);
    let layers = yard.layers("docker", "remuda/mine:1");
    let mut archive = tar::Archive::new(&layers[0][..]);
    let listed = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        let header = entry.header();
        assert_eq!((header.uid().unwrap(), header.gid().unwrap(), header.mtime().unwrap()), (0, 0, 0));
        let link = entry.link_name().unwrap().map(|link| format!(" -> {}", link.display())).unwrap_or_default();
        format!("{:?} {:o} {}{link} {content}", header.entry_type(), header.mode().unwrap(), entry.path().unwrap().display())
    });
    let listed: Vec<String> = listed.map(|line| line.trim_end().to_owned()).collect();
    assert_eq!(
        listed,
        [
            "Symlink 777 bin -> usr/bin",
            "Directory 755 etc/",
            "Regular 644 etc/ca.crt one two",
            "Regular 644 etc/passwd root",
            "Symlink 777 lib -> usr/lib",
            "Directory 1777 tmp/",
            "Directory 755 usr/",
            "Directory 755 usr/bin/",
            "Regular 755 usr/bin/aa zz",
            "Regular 755 usr/bin/busybox busybox",
            "Symlink 777 usr/bin/sh -> busybox",
            "Regular 4755 usr/bin/su su",
            "Link 755 usr/bin/zz -> usr/bin/aa",
            "Directory 755 usr/lib/",
            "Directory 755 usr/lib/x/",
            "Regular 644 usr/lib/x/libc.so libc",
            "Directory 750 usr/sbin/",
            "Regular 755 usr/sbin/ls ls",
            "Symlink 777 usr/sbin/tables -> other",
            "Directory 755 usr/share/",
            "Directory 755 var/",
            "Directory 755 var/log/",
        ]
    );

    // What people read of it.
    let listed = yard.ok(&["image", "list"]);
    let size: usize = debs.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(listed.contains("tiny: 4 packages of Debian") && listed.contains(&size.to_string()), "{listed}");
    let images = yard.path().join("out/c/images");
    let bills = files(&images).into_iter().filter(|(path, _)| path.to_str().unwrap().ends_with("cdx.json"));
    let bills: String = bills.map(|(_, bytes)| text(&bytes)).collect();
    for part in [
        r#""purl": "pkg:deb/debian/b@1%3A1%2Bb1""#,
        r#""name": "GPL-2+""#,
        "https://snapshot.debian.org/archive/debian/",
        &sha256(&debs[1].1),
    ] {
        assert!(bills.contains(part), "{part}: {bills}");
    }

    // Over an air gap: the same bytes, made again.
    let packed = || files(&images).into_iter().filter(|(path, _)| !path.to_str().unwrap().starts_with('.')).collect::<Vec<_>>();
    let before = packed();
    yard.ok(&["image", "fetch", "--to", "carried"]);
    fs::remove_dir_all(yard.path().join("cache")).unwrap();
    fs::remove_dir_all(yard.path().join("out")).unwrap();
    assert!(yard.fails(3, &["gen", "--offline"]).contains("/pool/a_1_amd64.deb"));
    yard.ok(&["gen", "--offline", "--components", "carried"]);
    assert!(packed() == before, "other bytes");

    // Another version of a package is another image, which isn't locked.
    yard.packages(&[("a", deb("data.tar", &first))], LAYOUT);
    assert!(yard.fails(1, &["gen"]).contains("not-locked"));
    yard.components("mine: {version: '1', engine: docker, from: {debian: tyny}}");
    let said = yard.fails(1, &["gen"]);
    assert!(said.contains("p.yaml:11") && said.contains("did you mean `tiny`?"), "{said}");
}

#[test]
fn a_hostile_package_is_refused_by_name() {
    use tar::EntryType::{Block, Directory, Link, Regular, Symlink};
    let yard = Yard::new();
    let file = |path| tree(&[(path, Regular, 0o644, "x")]);
    let good = deb("data.tar", &file("./a"));
    let (format, control, data): ((&str, &[u8]), _, _) =
        (("debian-binary", b"2.0\n"), ("control.tar", &[][..]), ("data.tar", &file("./a")[..]));
    let mut cut = deb("data.tar.xz", &xz(&file("./a")));
    let half = cut.len() - 40;
    cut.truncate(half);
    let mut torn = xz(&file("./a"));
    let middle = torn.len() / 2;
    torn[middle] ^= 0xff;
    let sized = |size: &str| String::from_utf8_lossy(&ar(&[format])).replacen("4         `", &format!("{size:<10}`"), 1).into_bytes();
    for (what, part) in [
        (vec![], "it isn't an archive of `ar`"),
        (file("./a"), "it isn't an archive of `ar`"),
        (cut, "it ends too early"),
        (good[..100].to_vec(), "the head of a member is malformed"),
        (sized("-4"), "the head of a member is malformed"),
        (sized("9999999999"), "it ends too early"),
        (ar(&[control, format, data]), "its first member isn't `debian-binary`"),
        (ar(&[("debian-binary", b"3.0\n"), control, data]), "its format isn't version 2"),
        (ar(&[format, control]), "it has no `data.tar`"),
        (ar(&[format, control, data, data]), "it has a member `data.tar`"),
        (ar(&[format, control, ("data.tar.bz2", b"")]), "it has a member `data.tar.bz2`"),
        (ar(&[format, ("\x1b[2J", b""), data]), "it has a member `\\u{1b}[2J`"),
        (deb("data.tar.xz", &torn), "can't be unpacked"),
        (deb("data.tar.gz", &gzip(&vec![0; 80 << 20])), "more than 100 times its size"),
        (deb("data.tar", b"x"), "isn't a readable tar archive"),
        (deb("data.tar", &file("./../etc/passwd")), "leads out of the image"),
        (deb("data.tar", &file("/etc/passwd")), "leads out of the image"),
        (deb("data.tar", &file("./a/.wh.b")), "removal of a file"),
        (deb("data.tar", &tree(&[("./dev/sda", Block, 0o600, "")])), "isn't a file, folder or link"),
        (deb("data.tar", &tree(&[("./a", Regular, 0o644, "x"), ("a", Regular, 0o4755, "y")])), "is a duplicate"),
        (deb("data.tar", &tree(&[("./a", Symlink, 0o777, "/etc"), ("./a/passwd", Regular, 0o644, "x")])), "which isn't a folder"),
        (deb("data.tar", &tree(&[("./a", Link, 0o644, "/etc/passwd")])), "links out of the image"),
        (deb("data.tar", &tree(&[("./a", Link, 0o644, "../b")])), "links out of the image"),
        (deb("data.tar", &tree(&[("./d/", Directory, 0o755, ""), ("./a", Link, 0o644, "./d")])), "which is a folder"),
    ] {
        yard.packages(&[("good", deb("data.tar", &file("./good"))), ("bad", what)], "{}");
        let said = yard.fails(1, &["lock", "--mirror", &yard.mirror()]);
        assert!(said.contains("error[image-content]") && said.contains("p.yaml:11") && said.contains(part), "{part}: {said}");
        assert!(said.contains("/pool/bad_1_amd64.deb: "), "{part}: {said}");
        assert!(!yard.path().join("p.lock").exists());
    }
    // Two packages that don't go together, and what they are together.
    for (second, layout, part) in [
        (file("./a/b"), "{}", r#""a/b" is in one too"#),
        (file("./bin/b"), "{merged: {bin: a}}", r#""a/b" is in one too"#),
        (file("./l/x"), "{}", r#""l" is in one too"#),
        (tree(&[("./l/", Directory, 0o755, "")]), "{}", r#""l" is in one too"#),
        (file("./c"), "{removed: [a/b]}", r#"which isn't a file in the archive before it"#),
        (file("./c"), "{links: {../x: y}}", "leads out of the image"),
        (file("./c"), "{joined: {c: 'd/*'}}", "its packages: none has a file d/*"),
    ] {
        let first = [("./a/b", Regular, 0o644, "b"), ("./l", Symlink, 0o777, "a"), ("./z", Link, 0o644, "a/b")];
        yard.packages(&[("one", deb("data.tar", &tree(&first))), ("two", deb("data.tar", &second))], layout);
        let said = yard.fails(1, &["lock", "--mirror", &yard.mirror()]);
        assert!(said.contains("error[image-content]") && said.contains("p.yaml:11") && said.contains(part), "{part}: {said}");
    }
    // Not what Debian's index has.
    yard.packages(&[("good", good.clone())], "{}");
    yard.server.put(&format!("/archive/debian/{SNAPSHOT}/pool/good_1_amd64.deb"), Answer::Bytes(deb("data.tar", &file("./b"))));
    let said = yard.fails(3, &["lock", "--mirror", &yard.mirror()]);
    assert!(said.contains("snapshot.debian.org") && said.contains("somebody changed it"), "{said}");
    // The data don't go together.
    fs::write(yard.path().join("lines/debian/rootfs.yaml"), "unused: []\nlayout: {}\nrootfs: {tiny: {wanted: [good, more]}}\n").unwrap();
    let said = yard.fails(1, &["lock"]);
    assert!(said.contains("tiny for amd64 lacks more") && said.contains("tests/debian.py"), "{said}");
    yard.packages(&[("good", good)], "{folders: {tmp: '9'}}");
    let said = yard.fails(1, &["lock"]);
    assert!(said.contains("rootfs.yaml") && said.contains("`9` isn't a mode"), "{said}");
}

#[test]
fn an_update_pins_anew_and_nothing_else_does() {
    let yard = Yard::new();
    let url = yard.server.put("/tool", Answer::Bytes(b"old".to_vec()));
    yard.components(&format!("pause: {{files: {{/pause: {{url: '{url}'}}}}}}"));
    yard.ok(&["lock"]);
    yard.server.put("/tool", Answer::Bytes(b"new!".to_vec()));
    yard.ok(&["lock"]);
    yard.ok(&["gen"]);
    assert_eq!(yard.in_image("docker", "remuda/pause:3.2", "pause").unwrap(), b"old");
    yard.ok(&["lock", "--update"]);
    yard.ok(&["gen"]);
    assert_eq!(yard.in_image("docker", "remuda/pause:3.2", "pause").unwrap(), b"new!");
    let left = fs::read_dir(yard.path().join("out/c/images")).unwrap().count();
    assert_eq!(left, 6, "two tarballs, their bills and their stamps: the old one is gone");
}

#[test]
fn list_says_what_is_missing_and_verify_finds_what_was_damaged() {
    let yard = Yard::new();
    let url = yard.server.put("/tool", Answer::Bytes(b"tool".to_vec()));
    yard.components(&format!("pause: {{files: {{/pause: {{url: '{url}'}}}}}}"));
    // What it shows, and the code with which it ends.
    let list = || {
        let output = yard.run(&["image", "list"]);
        (output.status.code(), text(&output.stdout))
    };
    let (code, listed) = list();
    assert!(code == Some(3) && listed.contains("not in the lock"), "{listed}");
    yard.ok(&["lock"]);
    let row = format!("in the cache               4  {url} sha256:{}", sha256(b"tool"));
    let (code, listed) = list();
    assert!(code == Some(0) && listed.contains(&row), "{listed}");
    let etcd = |listed: &str| listed.split("remuda/").find(|one| one.starts_with("etcd:")).unwrap().to_owned();
    let unpacked = etcd(&listed);
    // Its two files; a folder's size isn't known, and an archive's is its own.
    assert!(
        unpacked.starts_with("etcd:3.4.23\n  system-docker, amd64, ") && unpacked.contains(" bytes, not packed\n  for service etcd\n"),
        "{unpacked}"
    );
    yard.ok(&["gen"]);
    let packed = etcd(&yard.ok(&["image", "list"]));
    let archives = fs::read_to_string(yard.path().join("out/c/manifest.json")).unwrap();
    let archives: serde_json::Value = serde_json::from_str(&archives).unwrap();
    let archives = archives["archives"].as_array().unwrap();
    let digest = archives.iter().find_map(|archive| archive["images"]["remuda/etcd:3.4.23"].as_str()).unwrap();
    assert!(packed.contains(&format!(" bytes, {digest}\n")), "{packed}");
    yard.ok(&["image", "verify"]);
    let blob = yard.path().join("cache/remuda/blobs/sha256").join(&sha256(b"tool")[..2]).join(sha256(b"tool"));
    fs::remove_file(&blob).unwrap();
    fs::write(&blob, "t00l").unwrap();
    let said = yard.fails(3, &["image", "verify"]);
    assert!(said.contains(&format!("damaged, removed: sha256:{}", sha256(b"tool"))), "{said}");
    let (code, listed) = list();
    assert!(code == Some(3) && listed.contains("missing"), "{listed}");
    let said = yard.fails(3, &["gen", "--offline"]);
    assert!(said.contains(&url) && said.contains("`remuda image fetch --to DIR`"), "{said}");
    yard.ok(&["image", "fetch"]);
    yard.ok(&["image", "verify", "--all"]);
}

#[test]
fn each_architecture_among_the_nodes_gets_its_own_tarballs() {
    let yard = Yard::new();
    for arch in ["amd64", "arm64"] {
        yard.server.put(&format!("/{arch}"), Answer::Bytes(arch.as_bytes().to_vec()));
    }
    let url = &yard.server.url;
    yard.components(&format!(
        "pause: {{files: {{/pause: {{url: !template '{url}/{{{{ arch }}}}', sha256: {{amd64: {}, arm64: {}}}}}}}}}",
        sha256(b"amd64"),
        sha256(b"arm64")
    ));
    let profile = fs::read_to_string(yard.path().join("p.yaml")).unwrap();
    let profile = profile.replace("10.0.0.2}\n", "10.0.0.2}\n  two: {role: worker, address: 10.0.0.3, arch: arm64}\n");
    fs::write(yard.path().join("p.yaml"), profile.replace("images:\n", "images:\n  delivery: url\n  url: http://10.0.0.1/images\n"))
        .unwrap();
    yard.ok(&["lock"]);
    yard.ok(&["gen"]);
    for (node, arch, other) in [("one", "amd64", "arm64"), ("two", "arm64", "amd64")] {
        assert_eq!(yard.in_image(&format!("docker-{arch}"), "remuda/pause:3.2", "pause").unwrap(), arch.as_bytes());
        let etcd = yard.in_image(&format!("system-docker-{arch}"), "remuda/etcd:3.4.23", "usr/local/bin/etcd").unwrap();
        assert_eq!(String::from_utf8(etcd).unwrap().trim().ends_with("/arm64"), arch == "arm64");
        let config = fs::read_to_string(yard.path().join(format!("out/c/nodes/{node}/cloud-config.yml"))).unwrap();
        assert!(config.contains(&format!("docker-{arch}-")) && !config.contains(&format!("docker-{other}-")), "{node}");
    }
    fs::remove_file(yard.path().join("components/arm64/etcd-3.4.23/etcd")).unwrap();
    let said = yard.fails(3, &["gen"]);
    assert!(said.contains("components/arm64/etcd-3.4.23/etcd") && said.contains("components --arch arm64`"), "{said}");
}

#[test]
fn archives_that_attack_are_refused_and_leave_no_tarball() {
    use tar::EntryType;
    let yard = Yard::new();
    let bomb = gzip(&vec![0; 300 << 20]);
    let long = gzip(&entry(EntryType::GNULongName, "././@LongLink", "", 2 << 20));
    for (what, archive, part) in [
        ("parent", entry(EntryType::Regular, "../outside", "", 0), "leads out of the image"),
        ("inner parent", entry(EntryType::Regular, "a/../../outside", "", 0), "leads out of the image"),
        ("absolute", entry(EntryType::Regular, "/etc/passwd", "", 0), "leads out of the image"),
        ("hard link", entry(EntryType::Link, "a", "../../etc/passwd", 0), "links out of the image"),
        ("hard link to nothing", entry(EntryType::Link, "a", "b", 0), "which isn't a file in the archive"),
        ("device", entry(EntryType::Block, "sda", "", 0), "isn't a file, folder or link"),
        ("pipe", entry(EntryType::Fifo, "pipe", "", 0), "isn't a file, folder or link"),
        ("below a link", [&entry(EntryType::Symlink, "a", "/etc", 0)[..512], &tar(&[("a/passwd", b"x")])].concat(), "which isn't a folder"),
        ("bomb", bomb, "more than 100 times its size"),
        ("long name", long, "has 2097152 bytes"),
        ("no archive", b"not a tar archive".repeat(100), "isn't a readable tar archive"),
        ("cut off", gzip(&tar(&[("a", &noise(10_000))]))[..5000].to_vec(), ""),
    ] {
        let url = yard.server.put("/rootfs", Answer::Bytes(archive.clone()));
        fs::write(yard.path().join("rootfs"), archive).unwrap();
        for source in [format!("{{url: '{url}'}}"), "rootfs".to_owned()] {
            yard.components(&format!("mine: {{version: '1', engine: docker, from: {{rootfs: {source}}}}}"));
            let _ = fs::remove_file(yard.path().join("p.lock"));
            eprintln!("{what}, from {source}");
            let said = if source == "rootfs" { yard.fails(1, &["gen"]) } else { yard.fails(1, &["lock"]) };
            assert!(said.contains(part) && said.contains("--> p.yaml:11:"), "{what}: {said}");
            assert!(said.contains("error[image-content]: remuda/mine:1: "), "{what}: {said}");
            assert!(!yard.path().join("out/c/manifest.json").exists(), "{what}");
        }
        yard.components(&format!("pause: {{files: {{/pause: {{url: '{url}', member: ../outside}}}}}}"));
        yard.fails(1, &["lock"]);
    }
    let zip = zip(&[("../outside", b"x")]);
    fs::write(yard.path().join("rootfs"), zip).unwrap();
    yard.components("mine: {version: '1', engine: docker, from: {rootfs: rootfs}}");
    assert!(yard.fails(1, &["gen"]).contains("leads out of the image"));
}

#[test]
fn what_an_image_cannot_be_made_of_is_told_at_the_line_that_names_it_all_at_once() {
    let yard = Yard::new();
    let base = tar(&[("bin/sh", b"shell"), ("etc/passwd", b"root")]);
    fs::write(yard.path().join("base.tar"), &base).unwrap();
    fs::write(yard.path().join("plain"), "plain").unwrap();
    yard.components(
        "gone: {version: '1', engine: docker, from: {rootfs: gone.tar}}
lost: {version: '1', engine: docker, files: {/a: plain, /b: {path: lost}}}",
    );
    insta::assert_snapshot!(yard.fails(1, &["gen"]));
    yard.components(
        "member: {version: '1', engine: docker, from: {rootfs: base.tar}, files: {/x: {path: base.tar, member: sbin/sh}}}
other: {version: '1', engine: docker, from: {archive: base.tar}}
folder: {version: '1', engine: docker, from: {layout: plain}}",
    );
    insta::assert_snapshot!(yard.fails(1, &["gen"]));
    for (files, part) in [
        ("/bin: plain", "/bin is a folder in the base image"),
        ("/etc/passwd/x: plain", "/etc/passwd is a file in the base image"),
        ("/a/.wh.b: plain", "/a/.wh.b would be taken for the removal"),
        ("/a: plain, /a/b: plain", "/a/b is below /a, which isn't a folder"),
    ] {
        yard.components(&format!("mine:\n  version: '1'\n  engine: docker\n  from: {{rootfs: base.tar}}\n  files: {{{files}}}"));
        let said = yard.fails(1, &["image", "build"]);
        assert!(said.contains(part) && said.contains("--> p.yaml:15:"), "{files}: {said}");
        let json: serde_json::Value = serde_json::from_slice(&yard.run(&["image", "build", "--format", "json"]).stdout).unwrap();
        assert_eq!((json["diagnostics"][0]["code"].as_str(), json["diagnostics"][0]["line"].as_u64()), (Some("image-content"), Some(15)));
    }
    // What is the world's fault has a place too, if the profile names it.
    let url = yard.server.put("/tool", Answer::Redirect("/tool"));
    yard.components(&format!("pause: {{files: {{/pause: {{url: '{url}'}}}}}}"));
    assert!(yard.fails(3, &["lock"]).contains(&format!("\np.yaml:11:29: {url}: it redirects endlessly")));
}

#[test]
fn gzip_gives_the_same_content_and_the_same_bytes_on_any_number_of_cores() {
    let yard = Yard::new();
    fs::write(yard.path().join("big"), noise(5_000_000)).unwrap();
    yard.components("pause: {files: {/pause: big}}");
    yard.ok(&["gen"]);
    let archive = |end: &str| {
        let folder = yard.path().join("out/c/images");
        let found = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let ours = |path: &std::path::PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.starts_with("docker-") && name.ends_with(end)
        };
        found.filter(ours).map(|path| (path.clone(), fs::read(path).unwrap())).collect::<Vec<_>>()
    };
    let [(_, plain)] = &archive(".tar")[..] else { panic!("one tarball") };
    let profile = fs::read_to_string(yard.path().join("p.yaml")).unwrap();
    fs::write(yard.path().join("p.yaml"), profile.replace("images:\n", "images:\n  gzip: true\n")).unwrap();
    let mut packed = Vec::new();
    for threads in ["1", "2", "7"] {
        let _ = fs::remove_dir_all(yard.path().join("out"));
        let mut command = remuda(yard.path());
        command.args(["gen", "p.yaml", "--templates", "lines", "--no-seal"]).env("RAYON_NUM_THREADS", threads);
        assert!(command.output().unwrap().status.success());
        assert!(archive(".tar").is_empty());
        packed.extend(archive(".tar.gz"));
    }
    assert!(packed.len() == 3 && packed.windows(2).all(|two| two[0] == two[1]), "the bytes differ");
    let (path, bytes) = &packed[0];
    assert!(path.to_str().unwrap().contains(&sha256(bytes)[..12]), "it is named by what it is");
    let mut unpacked = Vec::new();
    flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut unpacked).unwrap();
    assert!(unpacked == *plain, "it unpacks to the plain tarball");
    assert!(std::process::Command::new("gzip").arg("-t").arg(path).status().unwrap().success(), "gzip itself reads it");
}

#[test]
fn beside_each_tarball_is_a_list_of_what_is_in_it() {
    let yard = Yard::new();
    let release = gzip(&tar(&[("r-1/tool", b"the tool")]));
    let url = yard.server.put("/r.tar.gz", Answer::Bytes(release.clone()));
    // An image that says what it is.
    let layer = tar(&[("bin/mine", b"mine")]);
    let labels = r#"{"org.opencontainers.image.licenses": "MIT OR Apache-2.0", "org.opencontainers.image.version": "v1.0.3", "a": "b"}"#;
    let config = format!(
        r#"{{"os": "linux", "architecture": "amd64", "config": {{"Labels": {labels}}}, "rootfs": {{"diff_ids": ["sha256:{}"]}}}}"#,
        sha256(&layer)
    );
    let list: &[u8] = br#"[{"Config": "c.json", "RepoTags": ["mine:1"], "Layers": ["l.tar"]}]"#;
    fs::write(yard.path().join("mine.tar"), tar(&[("manifest.json", list), ("c.json", config.as_bytes()), ("l.tar", &layer)])).unwrap();
    yard.components(&format!(
        "pause: {{files: {{/pause: {{url: '{url}', member: r-1/tool}}}}}}\nmine: {{version: '1', engine: docker, from: {{archive: mine.tar}}}}"
    ));
    yard.ok(&["lock"]);
    yard.ok(&["gen"]);
    let folder = yard.path().join("out/c/images");
    let bill = |engine: &str| -> serde_json::Value {
        let name = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let name = name.into_iter().find(|name| name.starts_with(engine) && name.ends_with(".cdx.json")).unwrap();
        let bill: serde_json::Value = serde_json::from_slice(&fs::read(folder.join(&name)).unwrap()).unwrap();
        let tarball = fs::read(folder.join(name.replace(".cdx.json", ".tar"))).unwrap();
        assert_eq!(bill["metadata"]["component"]["hashes"][0]["content"], sha256(&tarball));
        bill
    };
    let images = bill("docker-")["components"].clone();
    let base = &images[2]["components"][0];
    assert_eq!(base["licenses"], serde_json::json!([{"license": {"name": "MIT OR Apache-2.0"}}]), "{base}");
    let properties = serde_json::json!([{"name": "remuda:path", "value": "mine.tar"}, {"name": "remuda:version", "value": "v1.0.3"}]);
    assert_eq!(base["properties"], properties, "{base}");
    let pause = &images[0];
    assert_eq!((&pause["name"], &pause["version"]), (&"remuda/pause".into(), &"3.2".into()));
    let lock = fs::read_to_string(yard.path().join("p.lock")).unwrap();
    assert!(lock.contains(&format!("sha256:{}", pause["hashes"][0]["content"].as_str().unwrap())), "the image's ID is the lock's");
    let file = &pause["components"][0];
    assert_eq!(file["name"], "/pause");
    assert_eq!(file["externalReferences"][0]["url"], url);
    assert_eq!(file["externalReferences"][0]["hashes"][0]["content"], sha256(&release));
    let names: Vec<_> = bill("system-docker-")["components"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names.len(), 7);
    assert!(!fs::read_to_string(yard.path().join("p.lock")).unwrap().contains(yard.path().to_str().unwrap()));
}

#[test]
fn a_service_whose_image_the_profile_packs_is_not_warned_of() {
    let yard = Yard::new();
    fs::write(yard.path().join("exporter"), "exporter").unwrap();
    yard.components("exporter: {name: 'example/exporter:1', engine: system-docker, files: {/exporter: exporter}}");
    let service = "  services: {exporter: {image: 'example/exporter:1', net: host, labels: {io.rancher.os.scope: system}}}\n";
    let profile = fs::read_to_string(yard.path().join("p.yaml")).unwrap();
    fs::write(yard.path().join("p.yaml"), profile.replace("nodes:\n  one", &format!("{service}nodes:\n  one"))).unwrap();
    let said = yard.ok(&["gen"]);
    assert!(!said.contains("warning"), "{said}");
    assert_eq!(yard.in_image("system-docker", "example/exporter:1", "exporter").unwrap(), b"exporter");
    let profile = fs::read_to_string(yard.path().join("p.yaml")).unwrap();
    fs::write(yard.path().join("p.yaml"), profile.replace("image: 'example/exporter:1'", "image: 'example/other:1'")).unwrap();
    assert!(yard.ok(&["gen"]).contains("warning[image-not-packed]"));
}

#[test]
fn an_engine_without_what_the_os_copies_from_it_is_refused() {
    let yard = Yard::new();
    let engine = yard.path().join("components/docker-25.0.6/engine");
    for program in ["dockerd", "docker-proxy", "containerd", "containerd-shim-runc-v2"] {
        fs::create_dir_all(&engine).unwrap();
        fs::write(engine.join(program), "a program").unwrap();
    }
    fs::create_dir(yard.path().join("components/docker-25.0.6/engine-plugins")).unwrap();
    fs::write(yard.path().join("p.yaml"), PROFILE.replace("rancheros-1.5", "burmillaos-2.0").replace("images:\n  components:\n", ""))
        .unwrap();
    let said = yard.fails(1, &["gen"]);
    assert!(said.contains("remuda/docker-engine:25.0.6: it has no /engine/runc, which a node needs of it"), "{said}");
    assert!(said.contains("line.yaml:"), "the line is at fault: {said}");
    fs::write(engine.join("runc"), "a program").unwrap();
    yard.ok(&["gen"]);
    assert!(yard.in_image("system-docker", "remuda/docker-engine:25.0.6", "engine/runc").is_some());
}

#[test]
fn configs_never_name_an_image_that_no_tarball_has() {
    let yard = Yard::new();
    yard.components("pause: {files: {/pause: pause-3.2/pause}}");
    fs::create_dir_all(yard.path().join("pause-3.2")).unwrap();
    fs::write(yard.path().join("pause-3.2/pause"), "mine").unwrap();
    // A component is missing.
    fs::rename(yard.path().join("components/etcd-3.4.23"), yard.path().join("etcd")).unwrap();
    let said = yard.fails(3, &["gen"]);
    assert!(said.contains("components/etcd-3.4.23/etcd") && said.contains("`gen --no-images`"), "{said}");
    assert!(!yard.path().join("out").exists());
    // Only configs: the manifest says it, and nothing is made of it that a machine would boot from.
    assert!(yard.ok(&["gen", "--no-images"]).contains("no image tarballs; before nodes boot, run `remuda gen`"));
    let manifest = || -> serde_json::Value { serde_json::from_slice(&fs::read(yard.path().join("out/c/manifest.json")).unwrap()).unwrap() };
    assert!(manifest()["archives"].as_str().unwrap().starts_with("not packed"));
    for verb in [&["iso", "one", "-p", "p.yaml"][..], &["pxe", "wrap", "one", "--to", "one.cpio", "-p", "p.yaml"]] {
        let output = common::run(yard.path(), &[verb, &["--templates", "lines"]].concat());
        assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains("out/c was generated without image tarballs"), "{}", text(&output.stderr));
    }
    yard.ok(&["gen", "--check"]);
    fs::rename(yard.path().join("etcd"), yard.path().join("components/etcd-3.4.23")).unwrap();
    yard.ok(&["gen"]);
    assert_eq!(manifest()["archives"].as_array().unwrap().len(), 2);
    // What was packed is still right, without the components.
    fs::rename(yard.path().join("components"), yard.path().join("gone")).unwrap();
    yard.ok(&["gen", "--check"]);
    yard.ok(&["gen", "--no-images"]);
    assert_eq!(manifest()["archives"].as_array().unwrap().len(), 2);
}

/// A node would refuse it, far away.
#[test]
fn a_tarball_with_other_bytes_gets_onto_no_drive() {
    let yard = Yard::new();
    yard.components("mine: {version: '1', engine: docker, files: {/mine: mine}, entrypoint: [/mine]}");
    fs::write(yard.path().join("mine"), "mine").unwrap();
    let run = |words: &[&str]| common::run(yard.path(), &[words, &["--templates", "lines"]].concat());
    common::ok(yard.path(), &["seed", "new"]);
    common::ok(yard.path(), &["gen", "p.yaml", "--templates", "lines"]);
    common::ok(yard.path(), &["iso", "one", "--images", "-p", "p.yaml", "--templates", "lines"]);
    let tarball = fs::read_dir(yard.path().join("out/c/images")).unwrap().map(|entry| entry.unwrap().path());
    let tarball = tarball.filter(|path| path.extension().is_some_and(|end| end == "tar")).max().unwrap();
    let mut bytes = fs::read(&tarball).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&tarball, bytes).unwrap();
    let output = run(&["iso", "one", "--images", "-p", "p.yaml"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("isn't what its name says: it was damaged"), "{said}");
    fs::remove_file(&tarball).unwrap();
    common::ok(yard.path(), &["gen", "p.yaml", "--templates", "lines"]);
    common::ok(yard.path(), &["iso", "one", "--images", "-p", "p.yaml", "--templates", "lines"]);
}

#[test]
fn an_entrypoint_that_is_not_in_the_image_is_refused() {
    let yard = Yard::new();
    fs::write(yard.path().join("mine"), "mine").unwrap();
    yard.components("mine: {version: '1', engine: docker, files: {/mine: mine}, entrypoint: [/bin/mine]}");
    let said = yard.fails(1, &["gen"]);
    assert!(said.contains("remuda/mine:1: it has no /bin/mine, which a node needs of it"), "{said}");
}

#[test]
fn a_check_sees_that_the_tarballs_are_older_than_the_profile() {
    let yard = Yard::new();
    let tool = yard.server.put("/tool", Answer::Bytes(b"a tool".to_vec()));
    fs::write(yard.path().join("mine"), "mine").unwrap();
    let first = format!("pause: {{files: {{/pause: mine, /tool: {{url: '{tool}'}}}}}}");
    yard.components(&first);
    yard.ok(&["lock"]);
    yard.ok(&["gen"]);
    // A clean clone has no components and no tarballs.
    fs::rename(yard.path().join("components"), yard.path().join("gone")).unwrap();
    fs::remove_dir_all(yard.path().join("out/c/images")).unwrap();
    yard.ok(&["gen", "--check"]);
    let differs = |what: &str, why: &str| {
        let said = yard.fails(1, &["gen", "--check"]);
        assert!(said.contains(why) && said.contains("remuda/pause:3.2 for amd64"), "{what}: {said}");
        assert!(said.contains("run `remuda gen"), "{what}: {said}");
    };
    for (what, components) in [
        ("entrypoint", first.replace("pause: {", "pause: {entrypoint: [/tool], ")),
        ("a path", first.replace("/pause: mine", "/pause: mine, /other: mine")),
        ("rootfs", first.replace("pause: {", "pause: {from: {rootfs: other.tar}, ")),
    ] {
        yard.components(&components);
        differs(what, "is made of something else now");
    }
    yard.components(&first.replace("remuda/pause", "x").replace("pause: {", "pause: {name: 'mine/pause:7', "));
    assert!(yard.fails(1, &["gen", "--check"]).contains("mine/pause:7 for amd64 isn't in any of them"));
    yard.components(&first);
    // The lock.
    let lock = fs::read_to_string(yard.path().join("p.lock")).unwrap();
    let digest = &lock[lock.find("sha256:").unwrap()..][..71];
    fs::write(yard.path().join("p.lock"), lock.replacen(digest, &format!("sha256:{}", "0".repeat(64)), 1)).unwrap();
    differs("lock", "is made of something else now");
    fs::remove_file(yard.path().join("p.lock")).unwrap();
    assert!(yard.fails(1, &["gen", "--check"]).contains("error[not-locked]"));
    fs::write(yard.path().join("p.lock"), lock).unwrap();
    // A file beside the profile; one that isn't there may not be in git.
    fs::write(yard.path().join("mine"), "another").unwrap();
    differs("a file", "has mine in it, which has changed");
    fs::remove_file(yard.path().join("mine")).unwrap();
    yard.ok(&["gen", "--check"]);
    // Configs that were made of it forget the tarballs.
    fs::write(yard.path().join("mine"), "another").unwrap();
    assert!(yard.ok(&["gen", "--no-images"]).contains("don't have the images as the profile says"));
    yard.ok(&["gen", "--check"]);
}

/// A registry, its token server, and another host, each by itself on a port of its own. What the token server and the
/// other host were asked is kept.
struct Guarded {
    registry: String,
    asked: std::sync::Arc<std::sync::Mutex<Vec<String>>>,
    foreign: std::sync::Arc<std::sync::Mutex<Vec<String>>>,
}

/// A request as text: head and body.
fn request(stream: &mut std::net::TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut one = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut one).ok()?;
        bytes.push(one[0]);
    }
    let head = String::from_utf8(bytes).ok()?;
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    Some(head + &String::from_utf8(body).ok()?)
}

/// Answers each request by `answer`: a status, headers and a body.
fn serve(answer: impl Fn(&str) -> (String, String, Vec<u8>) + Send + Sync + 'static) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let Some(asked) = request(&mut stream) else { continue };
            let (status, headers, body) = answer(&asked);
            let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    address
}

impl Guarded {
    /// Its token server answers a POST with this status; `%` in its headers is the other host.
    fn start(post: &'static str, headers: &'static str) -> Self {
        let (asked, foreign) = (std::sync::Arc::<std::sync::Mutex<Vec<String>>>::default(), std::sync::Arc::default());
        let seen: std::sync::Arc<std::sync::Mutex<Vec<String>>> = std::sync::Arc::clone(&foreign);
        let other = serve(move |asked| {
            seen.lock().unwrap().push(asked.to_owned());
            ("200 OK".to_owned(), String::new(), br#"{"token": "ours"}"#.to_vec())
        });
        let seen = asked.clone();
        let headers = headers.replace('%', &other);
        let tokens = serve(move |asked| {
            seen.lock().unwrap().push(asked.to_owned());
            let is_proven = asked.contains("refresh_token=the%2Btoken") || asked.contains(&format!("Basic {}", base64(b"u:the+token")));
            let (status, headers) = match asked.starts_with("POST") {
                true => (post, headers.clone()),
                false => ("200 OK", String::new()),
            };
            let body = if is_proven && status == "200 OK" { r#"{"access_token": "ours"}"# } else { "{}" };
            (status.to_owned(), headers, body.as_bytes().to_vec())
        });
        let layer = tar(&[("hello", b"hi")]);
        let config = format!(
            r#"{{"os": "linux", "architecture": "amd64", "config": {{}}, "rootfs": {{"type": "layers", "diff_ids": ["sha256:{}"]}}}}"#,
            sha256(&layer)
        );
        let described = |bytes: &[u8]| format!(r#"{{"digest": "sha256:{}", "size": {}}}"#, sha256(bytes), bytes.len());
        let manifest = format!(r#"{{"schemaVersion": 2, "config": {}, "layers": [{}]}}"#, described(config.as_bytes()), described(&layer));
        let blobs = [config.into_bytes(), layer].map(|bytes| (sha256(&bytes), bytes));
        let registry = serve(move |asked| {
            if !asked.to_ascii_lowercase().contains("authorization: bearer ours\r\n") {
                let wanted = format!("WWW-Authenticate: Bearer realm=\"http://{tokens}/token?a=b\",service=\"s t\"\r\n");
                return ("401 Unauthorized".to_owned(), wanted, Vec::new());
            }
            let path = asked.split(' ').nth(1).unwrap();
            let blob = blobs.iter().find(|(digest, _)| path.ends_with(digest.as_str())).map(|(_, bytes)| bytes.clone());
            ("200 OK".to_owned(), String::new(), blob.unwrap_or_else(|| manifest.clone().into_bytes()))
        });
        Self { registry, asked, foreign }
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn an_identity_token_is_exchanged_at_the_token_server_and_shown_to_no_other_host() {
    for (post, headers, is_there) in [
        ("200 OK", "", true),
        // Token servers that know no POST: the token is tried as a password.
        ("400 Bad Request", "", true),
        ("401 Unauthorized", "", true),
        ("404 Not Found", "", true),
        ("405 Method Not Allowed", "", true),
        ("403 Forbidden", "", false),
        ("307 Temporary Redirect", "Location: http://%/token\r\n", false),
        ("308 Permanent Redirect", "Location: //%/token\r\n", false),
        ("302 Found", "Location: http://%/token\r\n", false),
    ] {
        let yard = Yard::new();
        let guarded = Guarded::start(post, headers);
        let login = format!(r#"{{"auths": {{"{}": {{"auth": "{}", "identitytoken": "the+token"}}}}}}"#, guarded.registry, base64(b"u:"));
        fs::write(yard.path().join("config.json"), login).unwrap();
        yard.components(&format!("mine: {{version: '1', engine: docker, from: {{image: '{}/x/y:1'}}}}", guarded.registry));
        let mut command = remuda(yard.path());
        command.env("XDG_CACHE_HOME", yard.path().join("cache")).env("DOCKER_CONFIG", yard.path());
        command.env_remove("REGISTRY_AUTH_FILE").env_remove("XDG_RUNTIME_DIR");
        let output = command.args(["lock", "p.yaml", "--templates", "lines", "--retries", "0", "--timeout", "2"]).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(if is_there { 0 } else { 3 }), "{post}: {said}");
        assert!(!said.contains("the+token") && !said.contains("the%2Btoken") && !said.contains("ours"), "{post}: {said}");
        assert_eq!(*guarded.foreign.lock().unwrap(), Vec::<String>::new(), "{post}: another host was asked");
        let asked = guarded.asked.lock().unwrap();
        assert!(asked[0].starts_with("POST /token?a=b HTTP/1.1\r\n"), "{post}: {asked:?}");
        let form = "grant_type=refresh_token&client_id=remuda&service=s%20t&scope=repository:x/y:pull&refresh_token=the%2Btoken";
        assert!(asked[0].ends_with(&format!("\r\n\r\n{form}")), "{post}: {asked:?}");
        // A token is for everything in the repository: one for the manifest and the config, one for the layers.
        assert!(asked.iter().filter(|asked| asked.starts_with("POST ")).count() <= 2, "{post}: {asked:?}");
    }
}

#[test]
fn a_delta_has_every_image_and_only_the_layers_that_are_not_below_known_ones() {
    let yard = Yard::new();
    let base = tar(&[("lib", &noise(300_000))]);
    fs::write(yard.path().join("base.tar"), &base).unwrap();
    let build = |gzip: bool, mine: &str, out: &str| {
        fs::write(yard.path().join("mine"), mine).unwrap();
        let both = ["a", "b"]
            .map(|name| format!("{name}: {{version: '1', engine: docker, from: {{rootfs: base.tar}}, files: {{/{name}: mine}}}}"));
        yard.components(&both.join("\n"));
        let profile = fs::read_to_string(yard.path().join("p.yaml")).unwrap();
        fs::write(yard.path().join("p.yaml"), profile.replace("images:\n", &format!("images:\n  gzip: {gzip}\n"))).unwrap();
        yard.ok(&["image", "build", "-o", out]);
    };
    let tarball = |folder: &str, engine: &str| {
        let names = files(&yard.path().join(folder)).into_keys().map(|path| path.to_str().unwrap().to_owned());
        names.into_iter().find(|name| name.starts_with(&format!("{engine}-")) && name.contains(".tar"))
    };
    for gzip in [false, true] {
        build(gzip, "one", "old");
        build(gzip, "two", "new");
        let words = ["image", "diff", "old/c", "new/c/images"];
        let _ = fs::remove_dir_all(yard.path().join("delta"));
        let output = remuda(yard.path()).env("XDG_CACHE_HOME", yard.path().join("cache")).args(words).output().unwrap();
        let said = text(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert!(said.contains("system-docker-amd64-") && said.contains(": unchanged\n"), "{said}");
        assert!(said.contains("  remuda/a:1: 1 of 2 layers\n  remuda/b:1: 1 of 2 layers\n") && !said.contains("remuda/pause"), "{said}");
        let name = tarball("delta", "docker").unwrap();
        assert_eq!((Some(name.clone()), None), (tarball("new/c/images", "docker"), tarball("delta", "system-docker")));
        let unpacked = |path: String| {
            let bytes = fs::read(yard.path().join(path)).unwrap();
            let mut plain = Vec::new();
            if gzip {
                flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut plain).unwrap();
            }
            untar(if gzip { &plain } else { &bytes })
        };
        let (delta, whole) = (unpacked(format!("delta/{name}")), unpacked(format!("new/c/images/{name}")));
        let json = |members: &std::collections::BTreeMap<String, Vec<u8>>, name: &str| -> serde_json::Value {
            serde_json::from_slice(&members[name]).unwrap()
        };
        let (list, wanted) = (json(&delta, "manifest.json"), json(&whole, "manifest.json"));
        let mut lacking = std::collections::BTreeSet::new();
        for (image, wanted) in list.as_array().unwrap().iter().zip(wanted.as_array().unwrap()) {
            assert_eq!(image["RepoTags"], wanted["RepoTags"]);
            let config = &delta[image["Config"].as_str().unwrap()];
            assert_eq!(*config, whole[wanted["Config"].as_str().unwrap()], "an image has the same ID");
            for (layer, wanted) in image["Layers"].as_array().unwrap().iter().zip(wanted["Layers"].as_array().unwrap()) {
                let (layer, wanted) = (layer.as_str().unwrap(), &whole[wanted.as_str().unwrap()]);
                assert_eq!(layer, format!("blobs/sha256/{}", sha256(wanted)));
                match delta.get(layer) {
                    Some(bytes) => assert!(bytes == wanted),
                    None => assert!(lacking.insert(layer.to_owned()) || wanted.len() > 300_000, "only the base is shared"),
                }
            }
        }
        // The base, and the layers of the images of pods, which didn't change.
        assert_eq!(lacking.len(), 3, "{lacking:?}");
        // The same as an OCI layout, whose documents are there.
        let index = json(&delta, "index.json");
        for image in index["manifests"].as_array().unwrap() {
            assert!(image["annotations"]["io.containerd.image.name"].as_str().unwrap().starts_with("docker.io/remuda/"), "{image}");
            let path = format!("blobs/sha256/{}", image["digest"].as_str().unwrap().trim_start_matches("sha256:"));
            assert_eq!(sha256(&delta[&path]), path.trim_start_matches("blobs/sha256/"));
            let config = json(&delta, &path)["config"]["digest"].as_str().unwrap().replace("sha256:", "blobs/sha256/");
            assert!(delta.contains_key(&config));
        }
        let only = fs::metadata(yard.path().join(format!("delta/{name}"))).unwrap().len();
        assert!(only < 30_000, "{only}");
    }
    // The new tarball isn't overwritten.
    let run = |words: &[&str]| remuda(yard.path()).env("XDG_CACHE_HOME", yard.path().join("cache")).args(words).output().unwrap();
    let output = run(&["image", "diff", "old/c", "new/c", "--to", "new/c/images"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert_eq!(run(&["image", "diff", "cache", "new/c"]).status.code(), Some(2));
}
