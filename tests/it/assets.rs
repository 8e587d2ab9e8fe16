//! Assets of Jira Service Management as the program writes to it.

mod kill;
