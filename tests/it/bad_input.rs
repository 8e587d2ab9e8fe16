//! What broken configurations, inventories, ledgers and CMDBs come to.
