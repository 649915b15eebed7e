use super::network::network;
use super::*;
use crate::build::Project;
use crate::diagnostic::Sources;
use crate::line::Condition;

fn cluster(rest: &str) -> (Cluster, Sources) {
    let head = "cluster: a\ntarget: rancheros-1.5\nline: kubernetes-1.20\nnetwork: {nodes: 10.0.0.0/16, gateway: 10.0.0.1}\n";
    let mut project = Project::of_text("p.yaml", format!("{head}{rest}"));
    let draft = project.draft().unwrap_or_else(|error| panic!("{error}"));
    (draft.with(Vec::new()), project.sources)
}

fn good<'c>(cluster: &'c Cluster, index: usize) -> NodeConfig<'c> {
    let mut found = Diagnostics::default();
    let node = lower(cluster.node_at(index), &Contexts::new(cluster), &mut found);
    assert!(found.is_empty(), "{:?}", found.sorted());
    node
}

const ONE: &str = "nodes: {one: {roles: [control-plane, worker], address: 10.0.0.2}}\n";

#[test]
fn services_stand_in_the_order_of_the_line_then_of_the_profile() {
    let service = "{image: 'a:1', labels: {io.rancher.os.scope: system}}";
    let (cluster, _) = cluster(&format!("defaults: {{services: {{zeta: {service}, kubelet: {{tty: true}}, alpha: {service}}}}}\n{ONE}"));
    let names: Vec<&str> = good(&cluster, 0).services.iter().map(|(name, _)| *name).collect();
    let of_line: Vec<&str> = cluster
        .line
        .services
        .iter()
        .filter(|service| service.delivery.is_empty() && service.when.iter().all(|one| *one == Condition::Flannel))
        .map(|service| service.name.as_str())
        .collect();
    assert_eq!(names, [&of_line[..], &["zeta", "alpha"]].concat());
}

#[test]
fn the_keys_of_a_service_stand_in_one_order_however_they_are_written() {
    let service = "{restart: always, net: host, volumes: ['/a:/b'], labels: {io.rancher.os.scope: system}, command: [x], image: 'a:1'}";
    let (cluster, _) = cluster(&format!("defaults: {{services: {{mine: {service}}}}}\n{ONE}"));
    let (_, keys) = good(&cluster, 0).services.pop().unwrap();
    assert_eq!(keys.iter().map(|one| one.0).collect::<Vec<_>>(), ["image", "command", "labels", "volumes", "net", "restart"]);
}

#[test]
fn files_stand_in_the_order_of_the_line_then_of_the_profile() {
    let (cluster, _) = cluster(&format!(
        "defaults: {{files: {{/opt/z: {{content: z}}, /opt/kubernetes/kubelet.yaml: {{content: mine}}, /etc/a: {{content: a}}}}}}\n{ONE}"
    ));
    let files = good(&cluster, 0).files;
    let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let of_line = cluster
        .line
        .files
        .iter()
        .filter(|(_, file)| {
            file.delivery.is_empty()
                && file.when.iter().all(|one| [Condition::Static, Condition::Founders, Condition::Flannel].contains(one))
        })
        .map(|(path, _)| path.as_str())
        // The one renders to nothing where there is no login, the other is the profile's.
        .filter(|path| !path.ends_with("/registry-login.json") && !path.ends_with("/kubelet.yaml"));
    let expected: Vec<&str> = of_line.chain(["/opt/z", "/opt/kubernetes/kubelet.yaml", "/etc/a"]).collect();
    assert_eq!(paths, expected, "a file of the profile takes the place of the line's");
    let mine = files.iter().find(|file| file.path.ends_with("/kubelet.yaml")).unwrap();
    assert!(matches!(&mine.content, FileContent::Text(text) if text == "mine"));
}

#[test]
fn a_file_is_written_by_the_lines_own_service_where_that_sees_its_folder() {
    let file = |path: &str| format!("{path}: {{content: a}}");
    let paths = ["/opt/kubernetes/a", "/var/log/a", "/opt/a", "/opt/kubernetes2/a"];
    let (cluster, _) = cluster(&format!("defaults: {{files: {{{}}}}}\n{ONE}", paths.map(file).join(", ")));
    let files = good(&cluster, 0).files;
    let containers = paths.map(|path| files.iter().find(|file| file.path == path).unwrap().container.as_str());
    assert_eq!(containers, ["kubernetes-files", "kubernetes-files", "console", "console"]);
}

#[test]
fn what_renders_to_nothing_is_left_out_and_what_is_empty_stays() {
    let (cluster, _) = cluster(&format!(
        "
defaults:
  sysctl: {{x.y: !template '{{% if node.is_etcd %}}{{% endif %}}', x.z: ''}}
  services:
    mine:
      image: a:1
      command: [a, !template '{{% if not node.is_worker %}}b{{% endif %}}', '', c]
      labels: {{io.rancher.os.scope: system}}
      environment: {{A: '', B: !template '{{{{ \"\" }}}}', C: x}}
      restart: !template '{{{{ \"\" }}}}'
{ONE}"
    ));
    let mut node = good(&cluster, 0);
    assert!(node.sysctl.contains(&("x.z".to_owned(), String::new())));
    assert!(node.sysctl.iter().all(|(name, _)| name != "x.y"));
    let (_, keys) = node.services.pop().unwrap();
    let texts = |texts: &[&str]| Value::Texts(texts.iter().map(|text| (*text).to_owned()).collect());
    assert!(keys.iter().any(|one| ***one == ("command", texts(&["a", "", "c"]))), "{keys:?}");
    assert!(keys.iter().any(|one| ***one == ("environment", texts(&["A=", "C=x"]))), "{keys:?}");
    assert!(keys.iter().all(|one| one.0 != "restart"));
}

#[test]
fn what_renders_to_something_that_no_node_can_read_is_refused_where_it_is_written() {
    for (template, part) in
        [("{{ \"nu\" ~ \"ll\" }}", "null"), ("{{ \"\\u00e4\" }}", "U+00E4"), ("${{ \"private_ipv4\" }}", "private_ipv4")]
    {
        let source = format!("defaults: {{sysctl: {{x.y: !template '{template}'}}}}\n{ONE}");
        let (cluster, sources) = cluster(&source);
        let mut found = Diagnostics::default();
        lower(cluster.node_at(0), &Contexts::new(&cluster), &mut found);
        let [one] = found.sorted()[..] else { panic!("{:?}", found.sorted()) };
        let span = one.span.unwrap();
        assert_eq!(
            (one.code.name(), &sources.get(span.source).text[span.start as usize..span.end as usize]),
            ("unfit-value", format!("'{template}'").as_str())
        );
        assert!(one.message.contains(part), "{}", one.message);
    }
}

#[test]
fn the_interface_is_the_named_one_or_the_mac_or_eth0() {
    let (cluster, _) = cluster(
        "
nodes:
  a: {role: control-plane, address: 10.0.0.2, interface: eth7, mac: '52:54:00:00:00:01'}
  b: {role: worker, address: 10.0.0.3, mac: 52-54-00-00-00-0A}
  c: {role: worker, address: 10.0.0.4}
",
    );
    let interfaces = [0, 1, 2].map(|index| network(cluster.node_at(index)).interfaces.remove(0).0);
    assert_eq!(interfaces, ["eth7", "mac=52:54:00:00:00:0a", "eth0"]);
    assert_eq!(network(cluster.node_at(1)).interfaces[0].1.addresses[0].to_string(), "10.0.0.3/16");
    let dynamic = "nodes:\n  m: {role: control-plane, address: 10.0.0.2}\n  a: {role: worker, address: dhcp, mac: '52:54:00:00:00:01'}\n  b: {role: worker, address: dhcp}\n";
    let (cluster, _) = self::cluster(dynamic);
    let networks = [1, 2].map(|index| network(cluster.node_at(index)));
    assert_eq!(networks.each_ref().map(|network| network.interfaces[0].0.as_str()), ["mac=52:54:00:00:00:01", "eth*"]);
    assert!(
        networks.iter().all(|network| network.interfaces[0].1.addresses.is_empty() && network.interfaces[0].1.gateway.is_none()),
        "DHCP says both"
    );
}

#[test]
fn nodes_of_one_class_differ_in_what_is_rendered_for_them() {
    let (cluster, _) = cluster(
        "
defaults: {files: {/opt/name: {content: !template '{{ node.name }} {{ node.subnet }} {{ node.roles | join(\",\") }}'}}}
nodes:
  m: {role: control-plane, address: 10.0.0.2}
  w-[1-2]: {role: worker, address: 10.0.0.3}
",
    );
    let content = |index| match good(&cluster, index).files.pop().unwrap().content.clone() {
        FileContent::Text(text) => text,
        other => panic!("{other:?}"),
    };
    let contents = [0, 1, 2].map(content);
    assert_eq!(contents, ["m 10.244.2.0/24 etcd,control-plane", "w-1 10.244.3.0/24 worker", "w-2 10.244.4.0/24 worker"]);
    assert_eq!(cluster.nodes[1].class, cluster.nodes[2].class);
}

#[test]
fn docker_has_a_bridge_only_where_there_are_pods() {
    let (cluster, _) = cluster("nodes: {m: {role: control-plane, address: 10.0.0.2}, e: {role: etcd, address: 10.0.0.3}}");
    assert_eq!(good(&cluster, 0).engine.bip.as_deref(), Some("10.244.2.1/24"));
    assert_eq!(good(&cluster, 1).engine.bip, None);
}

#[test]
fn a_registry_is_in_front_of_every_component_image_and_nothing_is_preloaded() {
    let (preloaded, _) = cluster(ONE);
    let (pulled, _) =
        cluster(&format!("images: {{delivery: registry, registry: 'r.example.com:5000/x', insecure: ['r.example.com:5000']}}\n{ONE}"));
    let etcd = |cluster: &Cluster| {
        let node = good(cluster, 0);
        let (_, keys) = node.services.into_iter().find(|(name, _)| *name == "etcd").unwrap();
        (keys.iter().find(|one| one.0 == "image").unwrap().1.clone(), node.preload_wait)
    };
    assert_eq!(etcd(&preloaded), (Value::Text("remuda/etcd:3.4.23".to_owned()), true));
    assert_eq!(etcd(&pulled), (Value::Text("r.example.com:5000/x/remuda/etcd:3.4.23".to_owned()), false));
    assert_eq!(good(&pulled, 0).registries.insecure, ["r.example.com:5000"]);
}

#[test]
fn tarballs_are_fetched_through_the_proxy_unless_their_server_is_near() {
    let environment = |url: &str| {
        let proxy = "proxy: {http: 'http://10.0.0.9:3128', no_proxy: [.near.org]}";
        let head = format!("cluster: a\ntarget: rancheros-1.5\nline: kubernetes-1.20\nnetwork: {{nodes: 10.0.0.0/16, {proxy}}}\n");
        let mut project = Project::of_text("p.yaml", format!("{head}images: {{delivery: url, url: '{url}'}}\n{ONE}"));
        let cluster = project.draft().unwrap_or_else(|error| panic!("{error}")).with(Vec::new());
        let node = good(&cluster, 0);
        let (_, keys) = node.services.into_iter().find(|(name, _)| *name == "component-images").unwrap();
        format!("{:?}", keys.iter().find(|one| one.0 == "environment").unwrap().1)
    };
    assert!(environment("http://images.far.org/x").contains("http_proxy=http://10.0.0.9:3128"));
    for near in ["http://10.0.7.7:8080/x", "http://images.near.org/x", "http://near.org"] {
        assert!(!environment(near).contains("proxy"), "{near}");
    }
}

#[test]
fn what_looks_like_a_template_is_known_by_the_names_that_templates_have() {
    let (cluster, _) = cluster(ONE);
    let contexts = Contexts::new(&cluster);
    let context = contexts.node(cluster.node_refs().next().unwrap());
    let names: Vec<String> = context.try_iter().unwrap().map(|name| name.to_string()).collect();
    assert!(names.len() >= 10, "{names:?}");
    for name in names {
        assert!(crate::service::TEMPLATE_NAMES.contains(&name.as_str()), "{name}");
    }
}

/// What the nodes of a class have in common is made once. Each must be as if it had been made for itself.
#[test]
fn a_node_is_the_same_whoever_was_made_before() {
    let all = "{% for key in node %}{{ key }}={{ node[key] }} {% endfor %}";
    let (cluster, _) = cluster(&format!(
        "
defaults:
  files:
    /opt/shared: {{content: !template '{{{{ cluster.name }}}} {{{{ node.arch }}}}'}}
    /opt/own: {{content: !template '{{{{ node.name }}}}'}}
    /opt/all: {{content: !template '{all}'}}
    /opt/sometimes: {{content: !template \"{{% if node.name == 'w-2' %}}two{{% endif %}}\"}}
  services:
    shared: {{image: 'a:1', labels: {{io.rancher.os.scope: system}}, command: [!template '{{{{ cluster.name }}}}']}}
    own: {{image: 'a:1', labels: {{io.rancher.os.scope: system}}, command: [!template '{{{{ node.subnet }}}}']}}
nodes:
  m: {{role: control-plane, address: 10.0.0.2}}
  w-[1-3]: {{role: worker, address: 10.0.1.1}}
  v-1: {{role: worker, address: 10.0.2.1, labels: {{a: b}}}}
"
    ));
    let (contexts, mut found) = (Contexts::new(&cluster), Diagnostics::default());
    let together: Vec<String> = cluster.node_refs().map(|of| format!("{:?}", lower(of, &contexts, &mut found))).collect();
    let apart: Vec<String> = (0..cluster.nodes.len()).map(|index| format!("{:?}", good(&cluster, index))).collect();
    assert_eq!(together, apart);
    let both = [1, 2].map(|index| lower(cluster.node_at(index), &contexts, &mut Diagnostics::default()));
    let shared = |path: &str| {
        let [one, other] = both.each_ref().map(|node| node.files.iter().find(|file| file.path == path).unwrap());
        Arc::ptr_eq(one, other)
    };
    assert!(shared("/opt/shared") && !shared("/opt/own") && !shared("/opt/all") && !shared("/opt/sometimes"));
    let pki = |name: &str| shared(&format!("/opt/kubernetes/pki/{name}"));
    assert!(pki("ca.crt") && !pki("kubelet.crt") && !pki("kubelet.key"), "a key is a node's own, what signs it isn't");
    let shared = |service: &str, key: &str| {
        let keys = both.each_ref().map(|node| &node.services.iter().find(|(name, _)| *name == service).unwrap().1);
        let [one, other] = keys.map(|keys| keys.iter().find(|setting| setting.0 == key).unwrap());
        Arc::ptr_eq(one, other)
    };
    assert!(shared("shared", "image") && shared("shared", "command") && shared("own", "image") && !shared("own", "command"));
}

/// A mistake that all nodes share is found on each, which it names.
#[test]
fn a_mistake_is_found_on_each_node_of_a_class() {
    let (cluster, _) = cluster(
        "
defaults: {files: {/opt/a: {content: !template '{{ nothing.here }}'}}}
nodes: {m: {role: control-plane, address: 10.0.0.2}, 'w-[1-3]': {role: worker, address: 10.0.1.1}}
",
    );
    let contexts = Contexts::new(&cluster);
    for of in cluster.node_refs() {
        let mut found = Diagnostics::default();
        lower(of, &contexts, &mut found);
        assert!(found.has_errors(), "{}", of.node.name);
    }
}
