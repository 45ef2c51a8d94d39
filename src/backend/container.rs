//! Whether a container's runtime has started a process, by the text of its `/proc/PID/cgroup`
//! (cgroups(7)).

/// Beginnings of the groups that runtimes make for a container: Docker, Podman, containerd, CRI-O
/// and Kubernetes with systemd's names, and the folders that they make without systemd.
const GROUPS: &[&str] = &[
    "docker-",
    "docker",
    "libpod-",
    "libpod_parent",
    "cri-containerd-",
    "crio-",
    "kubepods",
    "lxc.payload",
    "machine-",
    "nerdctl-",
];

/// Units of the runtimes themselves: what carries a published port is in theirs.
const UNITS: &[&str] = &["docker", "containerd", "podman", "crio", "snap.docker.dockerd"];

/// Whether one of its groups is a container's or a runtime's.
pub(super) fn is_of_one(cgroups: &str) -> bool {
    let paths = cgroups.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    paths.flat_map(|path| path.split('/')).any(|part| {
        let unit = part.strip_suffix(".service");
        match unit {
            Some(unit) => UNITS.contains(&unit),
            None => !part.ends_with(".slice") && GROUPS.iter().any(|group| part.starts_with(group)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::is_of_one;

    #[test]
    fn the_groups_of_containers_and_of_what_carries_their_ports_are_known() {
        for path in [
            "/system.slice/docker-0123.scope",
            "/docker/0123",
            "/system.slice/docker.service",
            "/machine.slice/libpod-0123.scope/container",
            "/kubepods.slice/kubepods-pod7.slice/cri-containerd-0123.scope",
        ] {
            assert!(is_of_one(&format!("0::{path}\n")), "{path}");
        }
    }

    #[test]
    fn what_a_host_itself_runs_is_of_none() {
        for path in [
            "/",
            "/system.slice/connexa-backend.service",
            "/system.slice/supervisor.service",
            "/user.slice/user-0.slice/session-3.scope",
            "/system.slice/docker-backup.service",
        ] {
            assert!(!is_of_one(&format!("12:pids:{path}\n0::{path}\n")), "{path}");
        }
    }
}
