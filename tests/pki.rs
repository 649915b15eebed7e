//! Seed and sealed configs as a user has them; openssl is the judge of every certificate.

mod common;

use common::{Project, SEED, files, ok, remuda, run, text};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

const PROFILE: &str = "\
cluster: ranch
target: rancheros-1.5
line: kubernetes-1.20
network: {nodes: 10.0.0.0/24, gateway: 10.0.0.1}
api: {endpoint: 10.0.0.200, names: [api.ranch.example]}
pki: {ssh_host_keys: true}
nodes:
  m-[1-3]: {role: control-plane, address: 10.0.0.2}
  w-[1-2]: {role: worker, address: 10.0.0.11}
";

fn gen_in(folder: &Path) -> Output {
    ok(folder, &["gen", "p.yaml", "--no-images"])
}

#[derive(serde::Deserialize)]
struct Config {
    rancher: Rancher,
    write_files: Vec<File>,
}

#[derive(serde::Deserialize)]
struct Rancher {
    ssh: Ssh,
}

#[derive(serde::Deserialize)]
struct Ssh {
    keys: BTreeMap<String, String>,
}

#[derive(serde::Deserialize)]
struct File {
    path: String,
    permissions: String,
    content: String,
}

fn config(folder: &Path, half: &str, node: &str) -> Config {
    let path = folder.join("out/ranch").join(half).join(node).join("cloud-config.yml");
    serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Lays a node's files out below a folder, as the OS would.
fn lay_out(config: &Config, root: &Path) {
    for file in &config.write_files {
        let path = root.join(file.path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &file.content).unwrap();
    }
}

fn openssl(folder: &Path, words: &[&str]) -> Output {
    Command::new("openssl").current_dir(folder).args(words).output().expect("these tests need openssl")
}

fn says(folder: &Path, words: &[&str]) -> String {
    let output = openssl(folder, words);
    assert!(output.status.success(), "openssl {words:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

const NODES: [&str; 5] = ["m-1", "m-2", "m-3", "w-1", "w-2"];

/// What each certificate is for: file, authority, openssl's purposes, subject, a name or address.
type Row = (&'static str, &'static str, &'static [&'static str], &'static str, &'static [&'static str]);
const CERTIFICATES: &[Row] = &[
    ("etcd-server", "etcd-ca", &["sslserver", "sslclient"], "CN = NODE", &["localhost", "127.0.0.1", "NODE", "ADDRESS"]),
    ("etcd-peer", "etcd-ca", &["sslserver", "sslclient"], "CN = NODE", &["NODE", "ADDRESS"]),
    ("etcd-member", "etcd-ca", &["sslclient"], "CN = root", &[]),
    ("kube-apiserver-etcd", "etcd-ca", &["sslclient"], "CN = root", &[]),
    ("flannel", "etcd-ca", &["sslclient"], "CN = flannel", &[]),
    (
        "kube-apiserver",
        "ca",
        &["sslserver"],
        "CN = kube-apiserver",
        &[
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
            "localhost",
            "127.0.0.1",
            "10.96.0.1",
            "10.0.0.200",
            "api.ranch.example",
            "m-1",
            "m-2",
            "m-3",
            "10.0.0.2",
            "10.0.0.3",
            "10.0.0.4",
        ],
    ),
    ("kube-apiserver-kubelet", "ca", &["sslclient"], "O = system:masters, CN = kube-apiserver-kubelet", &[]),
    ("kube-controller-manager", "ca", &["sslclient"], "CN = system:kube-controller-manager", &[]),
    ("kube-scheduler", "ca", &["sslclient"], "CN = system:kube-scheduler", &[]),
    ("kube-proxy", "ca", &["sslclient"], "CN = system:kube-proxy", &[]),
    ("kubelet", "ca", &["sslclient"], "O = system:nodes, CN = system:node:NODE", &[]),
    ("kubelet-server", "ca", &["sslserver"], "O = system:nodes, CN = system:node:NODE", &["NODE", "ADDRESS"]),
    ("front-proxy", "front-proxy-ca", &["sslclient"], "CN = front-proxy", &[]),
    ("addons", "ca", &["sslclient"], "O = system:masters, CN = remuda:addons", &[]),
];

#[test]
fn openssl_agrees_with_the_intent_of_every_certificate() {
    let folder = Project::with_seed(PROFILE);
    gen_in(folder.path());
    let mut seen = 0;
    for (index, node) in NODES.iter().enumerate() {
        let root = folder.path().join(node);
        lay_out(&config(folder.path(), "sealed", node), &root);
        let pki = root.join("opt/kubernetes/pki");
        let address = if index < 3 { format!("10.0.0.{}", index + 2) } else { format!("10.0.0.{}", index + 8) };
        let meant = |text: &str| text.replace("NODE", node).replace("ADDRESS", &address);
        for entry in fs::read_dir(&pki).unwrap() {
            let file = entry.unwrap().file_name().into_string().unwrap();
            let Some(name) = file.strip_suffix(".crt") else { continue };
            if name.ends_with("ca") {
                let shown = says(&pki, &["x509", "-in", &file, "-noout", "-ext", "basicConstraints,keyUsage"]);
                assert!(shown.contains("CA:TRUE, pathlen:0") && shown.contains("Certificate Sign, CRL Sign"), "{shown}");
                assert!(!pki.join(format!("{name}.key")).exists(), "{node} has the key of {name}");
                continue;
            }
            let (_, authority, purposes, subject, names) = CERTIFICATES.iter().find(|row| row.0 == name).expect(name);
            let authority = format!("{authority}.crt");
            for purpose in ["sslserver", "sslclient"] {
                let verified = openssl(&pki, &["verify", "-x509_strict", "-purpose", purpose, "-CAfile", &authority, &file]);
                assert_eq!(verified.status.success(), purposes.contains(&purpose), "{node} {name} {purpose}: {}", text(&verified.stderr));
            }
            assert_eq!(says(&pki, &["x509", "-in", &file, "-noout", "-subject"]).trim(), format!("subject={}", meant(subject)));
            for wanted in names.iter().map(|name| meant(name)) {
                let check = if wanted.parse::<std::net::Ipv4Addr>().is_ok() { "-checkip" } else { "-checkhost" };
                let shown = says(&pki, &["x509", "-in", &file, "-noout", check, &wanted]);
                assert!(shown.contains("does match"), "{node} {name}: {shown}");
            }
            let listed = says(&pki, &["x509", "-in", &file, "-noout", "-ext", "subjectAltName"]);
            assert_eq!(listed.matches("DNS:").count() + listed.matches("IP Address:").count(), names.len(), "{node} {name}: {listed}");
            let own = says(&pki, &["x509", "-in", &file, "-noout", "-pubkey"]);
            assert_eq!(own, says(&pki, &["pkey", "-in", &format!("{name}.key"), "-pubout"]), "{node} {name}: another key");
            let dates = says(&pki, &["x509", "-in", &file, "-noout", "-dates"]);
            assert_eq!(dates, "notBefore=Jan  1 00:00:00 2025 GMT\nnotAfter=Dec 31 23:59:59 2044 GMT\n");
            seen += 1;
        }
    }
    assert_eq!(seen, 3 * 14 + 2 * 4);
    let pki = folder.path().join("m-1/opt/kubernetes/pki");
    assert_eq!(
        says(&pki, &["pkey", "-in", "service-account.key", "-pubout"]),
        fs::read_to_string(pki.join("service-account.pub")).unwrap()
    );
}

#[test]
fn each_node_has_its_own_keys_and_those_that_all_share() {
    let folder = Project::with_seed(PROFILE);
    gen_in(folder.path());
    let keys = |node: &str| -> BTreeMap<String, String> {
        let files = config(folder.path(), "sealed", node).write_files;
        files.into_iter().filter(|file| file.content.contains("PRIVATE KEY")).map(|file| (file.path, file.content)).collect()
    };
    let mut all: Vec<String> = Vec::new();
    for node in NODES {
        let own = keys(node);
        for (path, key) in own {
            if path.ends_with("service-account.key") {
                assert_eq!(key, keys("m-1")[&path]);
            } else {
                all.push(key);
            }
        }
    }
    assert_eq!(all.len(), 3 * 14 + 2 * 4);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "two places have the same key");
}

#[test]
fn a_file_with_a_key_is_0600_on_the_node_and_here() {
    let folder = Project::with_seed(PROFILE);
    gen_in(folder.path());
    for node in NODES {
        for file in config(folder.path(), "sealed", node).write_files {
            if file.content.contains("PRIVATE KEY") || file.content.contains("secretbox") {
                assert_eq!(file.permissions, "0600", "{}", file.path);
            }
        }
    }
    let sealed = folder.path().join("out/ranch/sealed");
    for path in files(&sealed).keys() {
        assert_eq!(fs::metadata(sealed.join(path)).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
    for folder in [sealed.clone(), sealed.join("m-1"), sealed.join("etcd")] {
        assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
    }
    // One that was opened to others is closed again.
    let config = sealed.join("m-1/cloud-config.yml");
    fs::set_permissions(&config, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(&sealed, fs::Permissions::from_mode(0o755)).unwrap();
    gen_in(folder.path());
    assert_eq!(fs::metadata(config).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(sealed).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn the_same_seed_gives_the_same_bytes_elsewhere_and_any_other_input_other_keys() {
    let folder = Project::with_seed(PROFILE);
    gen_in(folder.path());
    let first = files(&folder.path().join("out/ranch"));
    let elsewhere = Project::with_seed(PROFILE);
    let mut command = remuda(elsewhere.path());
    command.args(["gen", "p.yaml", "--no-images"]).env("RAYON_NUM_THREADS", "1").env("TZ", "Asia/Tokyo").env("LC_ALL", "C");
    assert!(command.status().unwrap().success());
    assert_eq!(files(&elsewhere.path().join("out/ranch")), first);

    let kubelet = |folder: &Path, cluster: &str| {
        let path = folder.join(format!("out/{cluster}/sealed/m-1/cloud-config.yml"));
        let config: Config = serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        config.write_files.into_iter().find(|file| file.path.ends_with("/kubelet.key")).unwrap().content
    };
    let own = kubelet(folder.path(), "ranch");
    let other_cluster = Project::with_seed(&PROFILE.replace("cluster: ranch", "cluster: farm"));
    gen_in(other_cluster.path());
    assert_ne!(kubelet(other_cluster.path(), "farm"), own);
    for change in ["generation: 2", "purposes: {kubelet: {generation: 2}}"] {
        let changed = Project::with_seed(&PROFILE.replace("ssh_host_keys: true", &format!("{change}, ssh_host_keys: true")));
        gen_in(changed.path());
        assert_ne!(kubelet(changed.path(), "ranch"), own, "{change}");
    }
    let other_seed = Project::with_seed(PROFILE);
    fs::remove_file(other_seed.path().join("remuda.seed")).unwrap();
    ok(other_seed.path(), &["seed", "new"]);
    gen_in(other_seed.path());
    assert_ne!(kubelet(other_seed.path(), "ranch"), own);
}

/// Every line of key material in the sealed half: what must be nowhere else.
fn secrets(folder: &Path) -> BTreeSet<String> {
    let mut secrets = BTreeSet::from([SEED[14..78].to_owned()]);
    for node in NODES {
        let sealed = config(folder, "sealed", node);
        let texts = sealed.write_files.iter().map(|file| &file.content).chain(sealed.rancher.ssh.keys.values());
        for text in texts {
            let mut inside = false;
            for line in text.lines() {
                inside = (inside || line.contains("BEGIN PRIVATE KEY")) && !line.contains("END PRIVATE KEY");
                if inside && !line.contains("BEGIN") {
                    secrets.insert(line.to_owned());
                }
                if let Some(secret) = line.trim().strip_prefix("secret: ") {
                    secrets.insert(secret.trim_matches('"').to_owned());
                }
            }
        }
    }
    for file in ["admin.kubeconfig", "etcd/admin.key"] {
        let text = fs::read_to_string(folder.join("out/ranch/sealed").join(file)).unwrap();
        secrets.extend(text.lines().filter_map(|line| line.trim().strip_prefix("client-key-data: ")).map(str::to_owned));
        secrets.extend(text.lines().filter(|line| file.ends_with(".key") && !line.contains("----")).map(str::to_owned));
    }
    secrets
}

#[test]
fn no_key_material_is_in_the_git_safe_tree_in_any_output_or_in_an_error() {
    let folder = Project::with_seed(PROFILE);
    let mut said = gen_in(folder.path());
    let secrets = secrets(folder.path());
    assert!(secrets.len() > 100, "{}", secrets.len());
    assert!(secrets.iter().all(|secret| secret.len() >= 20), "{secrets:?}");
    let mut open = std::mem::take(&mut said.stdout);
    open.extend(said.stderr);
    let broken = PROFILE.replace("m-[1-3]", "m-[1-x]");
    fs::write(folder.path().join("broken.yaml"), broken).unwrap();
    fs::write(folder.path().join("hurt.seed"), SEED.replace("0102", "0103")).unwrap();
    fs::set_permissions(folder.path().join("hurt.seed"), fs::Permissions::from_mode(0o600)).unwrap();
    for words in [
        &["gen", "p.yaml", "--no-images", "--format", "json"][..],
        &["gen", "p.yaml", "--diff"],
        &["gen", "p.yaml", "--check"],
        &["gen", "p.yaml", "--no-images", "--seed", "hurt.seed"],
        &["gen", "broken.yaml"],
        &["seal", "p.yaml"],
        &["seed", "new"],
        &["pki", "list", "p.yaml"],
        &["pki", "list", "p.yaml", "--format", "json"],
        &["validate", "p.yaml", "--format", "json"],
        &["explain", "m-1", "kube-apiserver", "--profile", "p.yaml"],
    ] {
        let output = run(folder.path(), words);
        open.extend(output.stdout);
        open.extend(output.stderr);
    }
    for (path, bytes) in files(&folder.path().join("out/ranch")) {
        if !path.starts_with("sealed") {
            open.extend(bytes);
        }
    }
    let open = String::from_utf8_lossy(&open);
    assert!(open.contains("sealed:kubelet.key 1"), "the walk must have seen the configs");
    for secret in &secrets {
        assert!(!open.contains(secret.as_str()), "a secret is in the open");
    }
    assert!(!open.contains("PRIVATE KEY"));
    // The walk finds what it looks for, where it is.
    let sealed = fs::read_to_string(folder.path().join("out/ranch/sealed/m-1/cloud-config.yml")).unwrap();
    assert!(secrets.iter().any(|secret| sealed.contains(secret.as_str())));
}

#[test]
fn without_the_seed_the_tree_for_git_is_the_same_and_checks() {
    let folder = Project::with_seed(PROFILE);
    gen_in(folder.path());
    let mut sealed = files(&folder.path().join("out/ranch"));
    fs::rename(folder.path().join("remuda.seed"), folder.path().join("away.seed")).unwrap();
    let said = gen_in(folder.path());
    assert!(text(&said.stderr).contains("not sealed again"), "{}", text(&said.stderr));
    assert_eq!(files(&folder.path().join("out/ranch")), sealed, "nothing of the sealed half is touched");
    ok(folder.path(), &["gen", "p.yaml", "--check"]);
    // A checkout has no sealed half.
    fs::remove_dir_all(folder.path().join("out/ranch/sealed")).unwrap();
    ok(folder.path(), &["gen", "p.yaml", "--check"]);
    let seal = run(folder.path(), &["seal", "p.yaml"]);
    assert_eq!(seal.status.code(), Some(3), "a seed is never made silently");
    assert!(text(&seal.stderr).contains("remuda seed new"), "{}", text(&seal.stderr));
    ok(folder.path(), &["seal", "p.yaml", "--seed", "away.seed"]);
    assert_eq!(files(&folder.path().join("out/ranch")), std::mem::take(&mut sealed));
}

#[test]
fn another_seed_than_the_trees_is_refused_and_nothing_is_touched() {
    let folder = Project::with_seed(PROFILE);
    gen_in(folder.path());
    let before = files(&folder.path().join("out/ranch"));
    fs::remove_file(folder.path().join("remuda.seed")).unwrap();
    let refused = run(folder.path(), &["seed", "new"]);
    assert_eq!(refused.status.code(), Some(3), "{}", text(&refused.stderr));
    assert!(!folder.path().join("remuda.seed").exists());
    ok(folder.path(), &["seed", "new", "other.seed", "--out", "nowhere"]);
    for words in [&["gen", "p.yaml", "--seed", "other.seed"][..], &["seal", "p.yaml", "--seed", "other.seed"]] {
        let refused = run(folder.path(), words);
        assert_eq!(refused.status.code(), Some(3));
        assert!(text(&refused.stderr).contains("sealed with another seed"), "{}", text(&refused.stderr));
        assert_eq!(files(&folder.path().join("out/ranch")), before);
    }
}

#[test]
fn what_is_sealed_is_what_was_looked_at() {
    let folder = Project::with_seed(PROFILE);
    ok(folder.path(), &["gen", "p.yaml", "--no-images", "--no-seal"]);
    fs::write(folder.path().join("p.yaml"), PROFILE.replace("w-[1-2]", "w-[1-3]")).unwrap();
    let refused = run(folder.path(), &["seal", "p.yaml"]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stderr));
    assert!(!folder.path().join("out/ranch/sealed").exists());
}

#[test]
fn a_rotation_shows_in_git_on_the_nodes_that_it_changes() {
    let folder = Project::with_seed(PROFILE);
    gen_in(folder.path());
    let changed = |pki: &str| {
        fs::write(folder.path().join("p.yaml"), PROFILE.replace("ssh_host_keys: true", pki)).unwrap();
        let output = run(folder.path(), &["gen", "p.yaml", "--diff", "--format", "json"]);
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        said["changed_nodes"].as_array().unwrap().iter().map(|node| node.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all = NODES.map(str::to_owned).to_vec();
    assert_eq!(changed("ssh_host_keys: true"), Vec::<String>::new());
    assert_eq!(changed("ssh_host_keys: true, purposes: {kubelet: {generation: 2}}"), all);
    assert_eq!(changed("ssh_host_keys: true, purposes: {etcd-peer: {generation: 2}}"), all[..3]);
    assert_eq!(changed("ssh_host_keys: true, purposes: {front-proxy-ca: {generation: 2}}"), all[..3]);
    assert_eq!(changed("ssh_host_keys: true, purposes: {service-account: {generation: 2, trust: [1]}}"), all[..3]);
    assert_eq!(changed("ssh_host_keys: true, purposes: {kubernetes-ca: {trust: [2]}}"), all);
    assert_eq!(changed("ssh_host_keys: true, lifetime: 5y"), all);
}

#[test]
fn a_change_of_authority_keeps_both_sides_talking() {
    let folder = Project::with_seed(PROFILE);
    let nodes = |pki: &str| {
        fs::write(folder.path().join("p.yaml"), PROFILE.replace("ssh_host_keys: true", &format!("ssh_host_keys: true{pki}"))).unwrap();
        gen_in(folder.path());
        let root = tempfile::tempdir().unwrap();
        lay_out(&config(folder.path(), "sealed", "w-1"), root.path());
        root
    };
    let steps = [
        nodes(""),
        nodes(", purposes: {kubernetes-ca: {generation: 1, trust: [2]}}"),
        nodes(", purposes: {kubernetes-ca: {generation: 2, trust: [1]}}"),
        nodes(", purposes: {kubernetes-ca: {generation: 2}}"),
    ];
    let verify = |of: usize, by: usize| {
        let pki = |step: usize| steps[step].path().join("opt/kubernetes/pki");
        let ca = pki(by).join("ca.crt");
        openssl(&pki(of), &["verify", "-CAfile", ca.to_str().unwrap(), "kubelet.crt"]).status.success()
    };
    for step in 0..3 {
        assert!(verify(step, step + 1), "a node of step {step} is refused by one of step {}", step + 1);
        assert!(verify(step + 1, step), "a node of step {} is refused by one of step {step}", step + 1);
    }
    assert!(!verify(0, 3), "the old authority is gone at the end");
}

#[test]
fn ssh_knows_the_host_keys_before_the_first_boot() {
    // The kinds that each OS's console reads from its config.
    for (target, kind) in [("rancheros-1.5", "ecdsa"), ("burmillaos-2.0", "ed25519")] {
        let folder = Project::with_seed(&PROFILE.replace("rancheros-1.5", target));
        gen_in(folder.path());
        let known = fs::read_to_string(folder.path().join("out/ranch/sealed/known_hosts")).unwrap();
        for node in NODES {
            let keys = config(folder.path(), "sealed", node).rancher.ssh.keys;
            assert_eq!(keys.keys().collect::<Vec<_>>(), [kind, &format!("{kind}-pub")]);
            let private = folder.path().join(format!("{node}.key"));
            fs::write(&private, &keys[kind]).unwrap();
            fs::set_permissions(&private, fs::Permissions::from_mode(0o600)).unwrap();
            let shown = Command::new("ssh-keygen").arg("-yf").arg(&private).output().expect("this test needs ssh-keygen");
            assert!(shown.status.success(), "{}", text(&shown.stderr));
            let public = keys[&format!("{kind}-pub")].trim();
            assert_eq!(text(&shown.stdout).trim(), public);
            assert!(known.lines().any(|line| line.starts_with(&format!("{node},")) && line.ends_with(public)));
        }
    }
}

#[test]
fn age_itself_opens_an_encrypted_seed() {
    let folder = Project::with_seed(PROFILE);
    let in_folder = |program: &str, words: &[&str]| {
        Command::new(program).current_dir(folder.path()).args(words).output().expect("this test needs age: apt-get install age")
    };
    assert!(in_folder("age-keygen", &["-o", "key.txt"]).status.success());
    let recipient = text(&in_folder("age-keygen", &["-y", "key.txt"]).stdout);
    ok(folder.path(), &["seed", "new", "locked.seed", "--recipient", recipient.trim()]);
    fs::set_permissions(folder.path().join("locked.seed"), fs::Permissions::from_mode(0o644)).unwrap();
    let locked = run(folder.path(), &["gen", "p.yaml", "--no-images", "--seed", "locked.seed"]);
    assert_eq!(locked.status.code(), Some(3));
    assert!(text(&locked.stderr).contains("--identity"), "{}", text(&locked.stderr));
    ok(folder.path(), &["gen", "p.yaml", "--no-images", "--seed", "locked.seed", "--identity", "key.txt"]);
    let opened = in_folder("age", &["-d", "-i", "key.txt", "-o", "open.seed", "locked.seed"]);
    assert!(opened.status.success(), "{}", text(&opened.stderr));
    fs::set_permissions(folder.path().join("open.seed"), fs::Permissions::from_mode(0o600)).unwrap();
    let before = files(&folder.path().join("out"));
    ok(folder.path(), &["gen", "p.yaml", "--no-images", "--seed", "open.seed"]);
    assert_eq!(files(&folder.path().join("out")), before);
}

#[test]
fn certificates_that_end_soon_are_warned_of_and_ended_ones_refused() {
    let begun = Command::new("date").args(["-u", "-d", "-80 days", "+%F"]).output().unwrap();
    let soon = format!("not_before: {}, lifetime: 90d", text(&begun.stdout).trim());
    let folder = Project::with_seed(&PROFILE.replace("ssh_host_keys: true", &soon));
    let said = gen_in(folder.path());
    assert!(text(&said.stderr).contains("warning[certificates-end]: all certificates end on "), "{}", text(&said.stderr));
    let before = files(&folder.path().join("out"));
    fs::write(folder.path().join("p.yaml"), PROFILE.replace("ssh_host_keys: true", "not_before: 2000-01-01, lifetime: 90d")).unwrap();
    let said = run(folder.path(), &["gen", "p.yaml", "--no-images"]);
    assert_eq!(said.status.code(), Some(1));
    assert!(text(&said.stderr).contains("error[certificates-ended]: all certificates ended on 2000-03-30"), "{}", text(&said.stderr));
    assert_eq!(files(&folder.path().join("out")), before);
}

/// A profile whose nodes log in to a registry.
fn with_login() -> String {
    let login = "images: {delivery: preload, registry: '10.0.0.9:5000/k8s', login: {username: ops, secret: registry}}\n";
    PROFILE.replace("nodes:\n", &format!("{login}nodes:\n"))
}

fn set_secret(folder: &Path, words: &[&str], secret: &str) -> Output {
    let mut child = remuda(folder);
    child.args([&["secret", "set", "registry", "p.yaml"], words].concat());
    child.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = child.spawn().unwrap();
    // One that refuses may be gone before it reads.
    let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), secret.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn a_registrys_password_reaches_the_nodes_and_nothing_else() {
    const PASSWORD: &str = "hunter2 \\\"yes: #";
    let folder = Project::with_seed(&with_login());
    let output = set_secret(folder.path(), &[], &format!("{PASSWORD}\n"));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = gen_in(folder.path());
    assert!(!text(&[said.stdout, said.stderr].concat()).contains("hunter2"));
    for (path, bytes) in files(folder.path()) {
        let is_sealed = path.starts_with("out/ranch/sealed");
        assert!(is_sealed || !String::from_utf8_lossy(&bytes).contains("hunter2"), "{} has the password", path.display());
    }
    let config = |half: &str| -> serde_json::Value {
        let text = fs::read_to_string(folder.path().join(format!("out/ranch/{half}/w-1/cloud-config.yml"))).unwrap();
        serde_saphyr::from_str(&text).unwrap()
    };
    let (open, sealed) = (config("nodes"), config("sealed"));
    assert_eq!(sealed["rancher"]["registry_auths"]["10.0.0.9:5000"], serde_json::json!({"username": "ops", "password": PASSWORD}));
    let reference = open["rancher"]["registry_auths"]["10.0.0.9:5000"]["password"].as_str().unwrap();
    assert!(reference.starts_with("sealed:secret/registry "), "{reference}");
    let files = sealed["write_files"].as_array().unwrap();
    let login = files.iter().find(|file| file["path"] == "/opt/kubernetes/registry-login.json").expect("the kubelet's login");
    let login: serde_json::Value = serde_json::from_str(login["content"].as_str().unwrap()).unwrap();
    assert_eq!(login["auths"]["10.0.0.9:5000"], serde_json::json!({"username": "ops", "password": PASSWORD}));
    // Another password is other bytes in git.
    assert!(set_secret(folder.path(), &[], "another").status.success());
    let output = run(folder.path(), &["gen", "p.yaml", "--check"]);
    assert!(text(&output.stderr).contains("nodes that change: m-1, m-2, m-3, w-1, w-2"), "{}", text(&output.stderr));
}

#[test]
fn an_account_of_the_os_itself_is_sealed_too() {
    let os = "defaults: {os: {rancher: {registry_auths: {quay.io: {username: me, secret: registry}}}}}\n";
    let folder = Project::with_seed(&with_login().replace("nodes:\n", &format!("{os}nodes:\n")));
    assert!(set_secret(folder.path(), &[], "hunter2").status.success());
    gen_in(folder.path());
    let accounts = |half: &str| {
        let text = fs::read_to_string(folder.path().join(format!("out/ranch/{half}/w-1/cloud-config.yml"))).unwrap();
        let config: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        config["rancher"]["registry_auths"].clone()
    };
    let expected = serde_json::json!({
        "10.0.0.9:5000": {"username": "ops", "password": "hunter2"},
        "quay.io": {"username": "me", "password": "hunter2"},
    });
    assert_eq!(accounts("sealed"), expected);
    assert!(accounts("nodes")["quay.io"]["password"].as_str().unwrap().starts_with("sealed:secret/registry "));
}

#[test]
fn a_secret_of_another_seed_is_refused_and_nothing_is_touched() {
    let folder = Project::with_seed(&with_login());
    assert!(set_secret(folder.path(), &[], "one").status.success());
    ok(folder.path(), &["seed", "new", "other.seed"]);
    let before = files(folder.path());
    let refused = set_secret(folder.path(), &["--seed", "other.seed"], "two");
    assert_eq!(refused.status.code(), Some(3));
    let refused = run(folder.path(), &["gen", "p.yaml", "--no-images", "--seed", "other.seed"]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(text(&refused.stderr).contains("encrypted with another seed"), "{}", text(&refused.stderr));
    assert!(text(&refused.stderr).lines().all(|line| !line.contains("  ")), "no run of blanks: {}", text(&refused.stderr));
    assert_eq!(files(folder.path()), before);
}

#[test]
fn a_secret_that_a_config_cannot_carry_is_refused() {
    let folder = Project::with_seed(&with_login());
    for secret in ["", "\n", "two\nlines", "caf\u{e9}", "~"] {
        assert_eq!(set_secret(folder.path(), &[], secret).status.code(), Some(3), "{secret:?}");
    }
    assert!(!folder.path().join("p.secrets").exists());
}

/// Its rights are a role binding's, so they can be taken away; a key of another generation doesn't have them.
#[test]
fn the_admins_rights_come_from_a_binding_for_the_generation_of_its_key() {
    let profile = "cluster: small\ntarget: burmillaos-2.0\nline: kubernetes-1.37\nnetwork: {nodes: 10.0.0.0/16, gateway: 10.0.0.1}\nnodes:\n  m-1: {role: control-plane, address: 10.0.0.11}\n  w-1: {role: worker, address: 10.0.1.1}\n";
    let folder = Project::with_seed(profile);
    let made = |more: &str, group: &str| {
        fs::write(folder.path().join("p.yaml"), format!("{profile}{more}")).unwrap();
        ok(folder.path(), &["gen", "p.yaml", "--no-images"]);
        let script = "sed -n 's/ *client-certificate-data: //p' out/small/sealed/admin.kubeconfig | base64 -d | openssl x509 -noout -subject -nameopt RFC2253";
        let output = Command::new("sh").current_dir(folder.path()).args(["-c", script]).output().unwrap();
        assert_eq!(text(&output.stdout), format!("subject=CN=admin,O={group}\n"));
        let config = fs::read_to_string(folder.path().join("out/small/sealed/m-1/cloud-config.yml")).unwrap();
        assert!(config.contains(&format!("metadata: {{name: \"{group}\"}}")), "{group}");
        assert!(config.contains(&format!("kind: Group, name: \"{group}\"")), "{group}");
        let kubeconfigs = text(&ok(folder.path(), &["pki", "list", "p.yaml"]).stdout);
        let masters: Vec<&str> = kubeconfigs.lines().filter(|line| line.contains("system:masters")).collect();
        assert!(masters.len() == 1 && masters[0].contains("CN=remuda:addons"), "{masters:?}");
    };
    made("", "remuda:admins:1");
    made("pki: {purposes: {admin: {generation: 2}}}\n", "remuda:admins:2");
}

#[test]
fn a_user_has_a_kubeconfig_of_its_own_with_its_groups_and_its_end() {
    let users =
        "ssh_host_keys: true, users: {alice: {groups: [developers, on-call], not_before: 2026-01-01, lifetime: 10y}, ci@example.com: {}}";
    let folder = Project::with_seed(&PROFILE.replace("ssh_host_keys: true", users));
    ok(folder.path(), &["gen", "p.yaml", "--no-images"]);
    let sealed = folder.path().join("out").read_dir().unwrap().next().unwrap().unwrap().path().join("sealed");
    let alice = fs::read_to_string(sealed.join("users/alice.kubeconfig")).unwrap();
    assert_eq!(fs::metadata(sealed.join("users/alice.kubeconfig")).unwrap().permissions().mode() & 0o777, 0o600);
    let certificate = |kubeconfig: &str| {
        let line = kubeconfig.lines().find_map(|line| line.trim().strip_prefix("client-certificate-data: ")).unwrap().to_owned();
        fs::write(folder.path().join("data"), line).unwrap();
        let script = "base64 -d data | openssl x509 -noout -subject -enddate -nameopt RFC2253";
        text(&Command::new("sh").current_dir(folder.path()).args(["-c", script]).output().unwrap().stdout)
    };
    let said = certificate(&alice);
    assert!(said.contains("CN=alice") && said.contains("O=developers") && said.contains("O=on-call"), "{said}");
    assert!(said.contains("notAfter=Dec 31 23:59:59 2035"), "{said}");
    let other = certificate(&fs::read_to_string(sealed.join("users/ci@example.com.kubeconfig")).unwrap());
    assert!(other.contains("CN=ci@example.com") && !other.contains("O="), "{other}");
    assert!(certificate(&fs::read_to_string(sealed.join("admin.kubeconfig")).unwrap()).contains("CN=admin"));
    let listed = text(&ok(folder.path(), &["pki", "list", "p.yaml"]).stdout);
    assert!(
        listed.contains("user/alice") && listed.contains("2035-12-31") && listed.contains("O=developers, O=on-call, CN=alice"),
        "{listed}"
    );
    // A new key for one touches no other file.
    let before = files(&sealed);
    fs::write(
        folder.path().join("p.yaml"),
        PROFILE.replace("ssh_host_keys: true", &users.replace("lifetime: 10y", "lifetime: 10y, generation: 2")),
    )
    .unwrap();
    ok(folder.path(), &["gen", "p.yaml", "--no-images"]);
    let after = files(&sealed);
    let changed: Vec<_> =
        after.iter().filter(|(path, bytes)| before.get(*path) != Some(bytes)).map(|(path, _)| path.to_str().unwrap()).collect();
    assert_eq!(changed, ["manifest.json", "users/alice.kubeconfig"]);
}
