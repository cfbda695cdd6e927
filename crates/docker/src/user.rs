//! The user in the container: who may create sockets in the directory, and who may connect to them.

use std::path::Path;

use crate::{
    engine::Engine,
    error::DockerError,
    options::User,
    os::{DirOwner, Ids},
};

/// The user of a container, as the engine takes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ContainerUser {
    /// `uid:gid`, or nothing for the user of the image.
    pub(crate) user: Option<String>,
    /// The user namespace: `keep-id`, or nothing.
    pub(crate) namespace: Option<String>,
    /// The groups that the user joins, by number.
    pub(crate) groups: Vec<String>,
}

/// The two sides that have to share the directory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sides<'a> {
    pub(crate) engine: &'a Engine,
    /// The user of this process. `None` where users have no numbers.
    pub(crate) host: Option<Ids>,
    /// The directory on the host, and its owner.
    pub(crate) dir: &'a Path,
    pub(crate) owner: Option<DirOwner>,
    /// The user that the image names.
    pub(crate) image_user: &'a str,
}

/// Decides as whom the plugin runs. Refuses a user that certainly cannot create sockets.
pub(crate) fn decide(user: User, sides: &Sides<'_>) -> Result<ContainerUser, DockerError> {
    let (Some(host), Some(owner)) = (sides.host, sides.owner) else {
        return Ok(ContainerUser { user: given(user), ..ContainerUser::default() });
    };
    // A directory that is shared with a group is joined by that group.
    let groups = if owner.is_shared { vec![owner.ids.gid.to_string()] } else { Vec::new() };
    let keep_id = |ids: &str| Some(format!("keep-id{ids}"));
    match user {
        User::Auto if sides.engine.is_rootless && sides.engine.is_podman() => {
            Ok(ContainerUser { user: Some(pair(host)), namespace: keep_id(""), groups: Vec::new() })
        }
        // The root of the container is the user of the engine, and so of this host.
        User::Auto if sides.engine.is_rootless => {
            Ok(ContainerUser { user: Some("0:0".to_owned()), ..ContainerUser::default() })
        }
        User::Auto => Ok(ContainerUser { user: Some(pair(host)), namespace: None, groups }),
        User::Ids { uid, gid } if sides.engine.is_rootless && sides.engine.is_podman() => Ok(ContainerUser {
            user: given(user),
            namespace: keep_id(&format!(":uid={uid},gid={gid}")),
            groups: Vec::new(),
        }),
        User::Image | User::Ids { .. } => {
            let ids = match user {
                User::Ids { uid, .. } => Some(uid),
                _ => uid_of(sides.image_user),
            };
            let refuse = |reason| {
                let name = given(user).unwrap_or_else(|| format!("the image's user {:?}", sides.image_user));
                Err(DockerError::SocketDir { user: name, dir: sides.dir.to_owned(), reason })
            };
            let own = if sides.engine.is_rootless { 0 } else { owner.ids.uid };
            match ids {
                Some(uid) if uid == own => {}
                _ if sides.engine.is_rootless => {
                    return refuse(
                        "the engine runs without root, and gives the user a number that the host does not have",
                    );
                }
                Some(_) if !owner.is_shared => return refuse("only the user of the host may enter it"),
                _ => {}
            }
            Ok(ContainerUser { user: given(user), namespace: None, groups })
        }
    }
}

/// The user that was set by number.
fn given(user: User) -> Option<String> {
    match user {
        User::Ids { uid, gid } => Some(pair(Ids { uid, gid })),
        User::Auto | User::Image => None,
    }
}

fn pair(Ids { uid, gid }: Ids) -> String {
    format!("{uid}:{gid}")
}

/// The number of the user that an image names. An image that names no user has root. A name has a number only in the image.
fn uid_of(image_user: &str) -> Option<u32> {
    match image_user.split(':').next().unwrap_or_default() {
        "" | "root" => Some(0),
        user => user.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(name: &str, is_rootless: bool) -> Engine {
        Engine {
            address: String::new(),
            name: name.to_owned(),
            version: String::new(),
            is_rootless,
            has_selinux: false,
            has_seccomp: true,
            limits_memory: true,
            limits_processes: true,
            runtimes: Vec::new(),
            default_runtime: String::new(),
        }
    }

    /// The decision for the host 1000:1000, whose directory may be shared with group 2000.
    fn decided(
        user: User,
        engine: &Engine,
        is_shared: bool,
        image_user: &str,
    ) -> Result<ContainerUser, DockerError> {
        let gid = if is_shared { 2000 } else { 1000 };
        decide(
            user,
            &Sides {
                engine,
                host: Some(Ids { uid: 1000, gid: 1000 }),
                dir: Path::new("/tmp/rpcplugin-x"),
                owner: Some(DirOwner { ids: Ids { uid: 1000, gid }, is_shared }),
                image_user,
            },
        )
    }

    fn user(user: &str, namespace: Option<&str>, groups: &[&str]) -> ContainerUser {
        ContainerUser {
            user: (!user.is_empty()).then(|| user.to_owned()),
            namespace: namespace.map(str::to_owned),
            groups: groups.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn the_plugin_has_the_user_of_the_host_by_default() {
        let auto =
            |engine: &Engine, is_shared| decided(User::Auto, engine, is_shared, "daemon").expect("decided");
        assert_eq!(auto(&engine("Docker", false), false), user("1000:1000", None, &[]));
        assert_eq!(auto(&engine("Podman Engine", false), true), user("1000:1000", None, &["2000"]));
        assert_eq!(auto(&engine("Podman Engine", true), true), user("1000:1000", Some("keep-id"), &[]));
        assert_eq!(auto(&engine("Docker", true), false), user("0:0", None, &[]));
    }

    #[test]
    fn another_user_needs_a_shared_group() {
        let docker = engine("Docker", false);
        let ids = |uid| User::Ids { uid, gid: 7 };
        assert_eq!(decided(ids(1000), &docker, false, "").expect("the host's"), user("1000:7", None, &[]));
        assert_eq!(decided(ids(65534), &docker, true, "").expect("shared"), user("65534:7", None, &["2000"]));
        let error = decided(ids(65534), &docker, false, "").expect_err("not shared");
        assert!(error.to_string().contains("65534:7"), "{error}");
        // Root has no capabilities in the container, and so no right to pass over permissions.
        assert!(decided(User::Image, &docker, false, "").is_err());
        assert!(decided(User::Image, &docker, false, "65534").is_err());
        assert_eq!(decided(User::Image, &docker, true, "65534").expect("shared"), user("", None, &["2000"]));
        // A name has a number only in the image, but is hardly that of the host.
        assert_eq!(decided(User::Image, &docker, true, "daemon").expect("shared"), user("", None, &["2000"]));
    }

    #[test]
    fn without_root_only_the_root_of_the_container_is_the_host() {
        let docker = engine("Docker", true);
        assert_eq!(decided(User::Image, &docker, false, "root").expect("root"), user("", None, &[]));
        let error = decided(User::Image, &docker, true, "65534").expect_err("mapped");
        assert!(error.to_string().contains("without root"), "{error}");
        let podman = engine("Podman Engine", true);
        let ids = User::Ids { uid: 7, gid: 8 };
        let kept = decided(ids, &podman, false, "").expect("kept");
        assert_eq!(kept, user("7:8", Some("keep-id:uid=7,gid=8"), &[]));
    }
}
