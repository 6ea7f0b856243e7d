//! The two package managers, asked for the same things.

/// Which one a system has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Manager {
    Dpkg,
    Rpm,
}

impl Manager {
    /// Installs or upgrades package files.
    pub(crate) fn install(self) -> &'static [&'static str] {
        match self {
            // Nobody is asked: what is edited stays.
            Self::Dpkg => &["dpkg", "--force-confdef", "--force-confold", "--install"],
            Self::Rpm => &["rpm", "--upgrade"],
        }
    }

    /// Removes packages, without their config where there is a difference.
    pub(crate) fn remove(self) -> &'static [&'static str] {
        match self {
            Self::Dpkg => &["dpkg", "--remove"],
            Self::Rpm => &["rpm", "--erase"],
        }
    }

    /// Lists a package's files and folders.
    pub(crate) fn list(self) -> &'static [&'static str] {
        match self {
            Self::Dpkg => &["dpkg", "--listfiles"],
            Self::Rpm => &["rpm", "--query", "--list"],
        }
    }

    /// Lists the files of a package that are the admin's.
    pub(crate) fn config_files(self) -> &'static [&'static str] {
        match self {
            Self::Dpkg => &["dpkg-query", "--show", "--showformat=${Conffiles}\\n"],
            Self::Rpm => &["rpm", "--query", "--configfiles"],
        }
    }

    /// Compares a package's files with what was packed, and names those that differ.
    pub(crate) fn verify(self) -> &'static [&'static str] {
        match self {
            Self::Dpkg => &["dpkg", "--verify"],
            Self::Rpm => &["rpm", "--verify"],
        }
    }

    /// The version of an installed package; fails, or says nothing, where it is not wholly installed.
    pub(crate) fn version(self) -> &'static [&'static str] {
        match self {
            Self::Dpkg => &["dpkg-query", "--show", "--showformat=${Status} ${Version}\\n"],
            Self::Rpm => &["rpm", "--query", "--queryformat=install ok installed %{VERSION}-%{RELEASE}\\n"],
        }
    }
}
