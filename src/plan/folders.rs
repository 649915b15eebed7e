//! Folders of a node: which are empty after a boot, which belong to others, and which contain a path.

/// Whether a path is within a folder, at any depth.
pub(super) fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// The folder that is empty after each boot and contains `path`, if there is one.
pub(super) fn volatile(path: &str) -> Option<&'static str> {
    ["/run", "/var/run", "/tmp", "/dev", "/proc", "/sys"].into_iter().find(|folder| path == *folder || is_below(path, folder))
}

/// Whether a folder is within one that etcd's data must stay out of.
pub(super) fn below_others(path: &str) -> bool {
    const ALL: [&str; 14] = [
        "/bin",
        "/boot",
        "/etc",
        "/lib",
        "/sbin",
        "/usr",
        "/root",
        "/home/rancher",
        "/opt/kubernetes",
        "/var/lib/containerd",
        "/var/log",
        "/var/lib/kubelet",
        "/var/lib/rancher",
        "/var/lib/user-docker",
    ];
    ALL.iter().any(|folder| is_below(path, folder))
}

/// Folders that several programs on a node use. The folders above them count too.
pub(super) const OF_OTHERS: [&str; 18] = [
    "/bin",
    "/boot",
    "/etc/docker",
    "/etc/ssl/certs",
    "/home/rancher",
    "/lib/modules",
    "/media",
    "/mnt",
    "/opt/kubernetes",
    "/root",
    "/sbin",
    "/usr/bin",
    "/usr/share/ros",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/lib/rancher/conf",
    "/var/lib/user-docker",
    "/var/lib/system-docker",
];

/// `name` of `name:ro`.
pub(super) fn mode_less(from: &str) -> &str {
    from.split(':').next().unwrap_or_default()
}

/// The path in `PATH:PATH[:shared]`. Mounts that are read-only or at another path don't count.
pub(super) fn same_place(volume: &str) -> Option<String> {
    let mut parts = volume.split(':');
    let (host, inside) = (parts.next()?, parts.next()?);
    let read_only = parts.any(|option| option.split(',').any(|option| option == "ro"));
    (host == inside && !read_only).then(|| host.to_owned())
}
