BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0012');
CREATE TABLE device_estimates (
	target_id VARCHAR(16) NOT NULL, 
	subject_hash VARCHAR(64) NOT NULL, 
	device_id VARCHAR(64) NOT NULL, 
	value_ms DOUBLE NOT NULL, 
	low_ms DOUBLE NOT NULL, 
	high_ms DOUBLE NOT NULL, 
	visits INTEGER NOT NULL, 
	measured_at DATETIME NOT NULL, 
	p5_us BLOB NOT NULL, 
	CONSTRAINT pk_device_estimates PRIMARY KEY (target_id, subject_hash, device_id), 
	CONSTRAINT fk_device_estimates_device_id FOREIGN KEY(device_id) REFERENCES devices (id), 
	CONSTRAINT fk_device_estimates_subject_hash FOREIGN KEY(subject_hash) REFERENCES subjects (hash), 
	CONSTRAINT fk_device_estimates_target_id FOREIGN KEY(target_id) REFERENCES targets (id)
);
INSERT INTO "device_estimates" VALUES('8e6d43860bb5179f','210d79c1355853cdc6698d068e526750a965df91bce0a56814d09ba906b442a8','device_df4115b2a3c62830',1.0,1.0,1.0,1,'2026-01-02 03:04:05.000000',X'0000000000408F40');
INSERT INTO "device_estimates" VALUES('8e6d43860bb5179f','705b71c2c9abd1eb76b4dbdba108dc0df2e4c3d335336a9fb277f8955af802b4','device_df4115b2a3c62830',1.0,1.0,1.0,1,'2026-01-02 03:04:05.000000',X'0000000000408F40');
INSERT INTO "device_estimates" VALUES('8e6d43860bb5179f','ca11c45fe33e635d6ec875c7b3ae8944584ed62816ab61250a0201c52a10f1cb','device_df4115b2a3c62830',1.0,1.0,1.0,1,'2026-01-02 03:04:05.000000',X'0000000000408F40');
INSERT INTO "device_estimates" VALUES('8e6d43860bb5179f','948d1de82a9235d587ea5c0e91b42586bc6fea9bc813f1d3c910a26378964550','device_df4115b2a3c62830',10.0,10.0,10.0,1,'2026-01-02 03:04:05.000000',X'000000000088C340');
INSERT INTO "device_estimates" VALUES('8e6d43860bb5179f','b8bc2a36bc5d15b83d9e755eb4534c51c341749726e91465a4f12e6ded5540a8','device_df4115b2a3c62830',1.0,1.0,1.0,1,'2026-01-02 03:04:05.000000',X'0000000000408F40');
INSERT INTO "device_estimates" VALUES('8e6d43860bb5179f','c3a1b7e87cc94481d2dd2e9c34b02a91edb326a57fee0d784bf8da647e313c36','device_df4115b2a3c62830',1.0,1.0,1.0,1,'2026-01-02 03:04:05.000000',X'0000000000408F40');
CREATE TABLE device_owners (
	device_id VARCHAR(64) NOT NULL, 
	token_id VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_device_owners PRIMARY KEY (device_id), 
	CONSTRAINT fk_device_owners_device_id FOREIGN KEY(device_id) REFERENCES devices (id), 
	CONSTRAINT fk_device_owners_token_id FOREIGN KEY(token_id) REFERENCES tokens (id)
);
INSERT INTO "device_owners" VALUES('device_df4115b2a3c62830','token_68a3606429f99ee9');
CREATE TABLE device_targets (
	device_id VARCHAR(64) NOT NULL, 
	target_id VARCHAR(16) NOT NULL, 
	position INTEGER NOT NULL, 
	CONSTRAINT pk_device_targets PRIMARY KEY (device_id, target_id), 
	CONSTRAINT fk_device_targets_device_id FOREIGN KEY(device_id) REFERENCES devices (id), 
	CONSTRAINT fk_device_targets_target_id FOREIGN KEY(target_id) REFERENCES targets (id)
);
INSERT INTO "device_targets" VALUES('device_df4115b2a3c62830','8e6d43860bb5179f',0);
CREATE TABLE devices (
	id VARCHAR(64) NOT NULL, 
	agent VARCHAR(200) NOT NULL, 
	serial VARCHAR(200) NOT NULL, 
	protocol TEXT NOT NULL, 
	registered_at DATETIME NOT NULL, 
	last_seen DATETIME NOT NULL, labels TEXT DEFAULT '{}' NOT NULL, quarantined_at DATETIME, quarantine_reason VARCHAR(2000) DEFAULT '' NOT NULL, fruitless INTEGER DEFAULT '0' NOT NULL, rests_until DATETIME, methods VARCHAR(40) DEFAULT 'isolated' NOT NULL, 
	CONSTRAINT pk_devices PRIMARY KEY (id), 
	CONSTRAINT uq_devices_agent_serial UNIQUE (agent, serial)
);
INSERT INTO "devices" VALUES('device_df4115b2a3c62830','farm-1','S1','{"version":3,"warmup_ms":5.0,"measure_ms":25.0,"min_runs":10,"max_runs":2000,"affinity":"last_core","clock":"as_found","gate":{"max_thermal_status":0,"min_battery_percent":30.0,"max_battery_celsius":37.0,"max_busy_share":0.25,"busy_window_s":0.05},"cool_down":{"seconds":0.1,"times":3,"then":"measure"},"anchor":{"every":20,"slow_ratio":1.15,"quarantine_ratio":null},"acceptance":{"min_clean_share":0.25,"max_spread":2.0}}','2026-11-29 06:50:16.657000','2026-11-29 06:50:16.657000','{}',NULL,'',0,NULL,'isolated');
CREATE TABLE drift_verdicts (
	target_id VARCHAR(16) NOT NULL, 
	job_id VARCHAR(64) NOT NULL, 
	at DATETIME NOT NULL, 
	is_alarming BOOLEAN NOT NULL, 
	verdict TEXT NOT NULL, 
	CONSTRAINT pk_drift_verdicts PRIMARY KEY (target_id), 
	CONSTRAINT fk_drift_verdicts_job_id FOREIGN KEY(job_id) REFERENCES jobs (id), 
	CONSTRAINT fk_drift_verdicts_target_id FOREIGN KEY(target_id) REFERENCES targets (id)
);
CREATE TABLE entries (
	target_id VARCHAR(16) NOT NULL, 
	subject_hash VARCHAR(64) NOT NULL, 
	method VARCHAR(16) NOT NULL, 
	value_ms DOUBLE NOT NULL, 
	low_ms DOUBLE NOT NULL, 
	high_ms DOUBLE NOT NULL, 
	visits INTEGER NOT NULL, 
	measured_at DATETIME NOT NULL, devices INTEGER DEFAULT '1' NOT NULL, disagreement_percent DOUBLE, shape VARCHAR(19), kernel INTEGER, expand INTEGER, fitted_from VARCHAR(16), 
	CONSTRAINT pk_entries PRIMARY KEY (target_id, subject_hash), 
	CONSTRAINT fk_entries_subject_hash FOREIGN KEY(subject_hash) REFERENCES subjects (hash), 
	CONSTRAINT fk_entries_target_id FOREIGN KEY(target_id) REFERENCES targets (id)
);
INSERT INTO "entries" VALUES('8e6d43860bb5179f','210d79c1355853cdc6698d068e526750a965df91bce0a56814d09ba906b442a8','isolated',1.0,1.0,1.0,1,'2026-01-02 03:04:05.000000',1,NULL,'0040801000080000811',3,2,NULL);
INSERT INTO "entries" VALUES('8e6d43860bb5179f','705b71c2c9abd1eb76b4dbdba108dc0df2e4c3d335336a9fb277f8955af802b4','isolated',1.0,1.0,1.0,1,'2026-01-02 03:04:05.000000',1,NULL,'0340801000160001000',NULL,NULL,NULL);
INSERT INTO "entries" VALUES('8e6d43860bb5179f','ca11c45fe33e635d6ec875c7b3ae8944584ed62816ab61250a0201c52a10f1cb','isolated',1.0,1.0,1.0,1,'2026-01-02 03:04:05.000000',1,NULL,'0140642000030000801',3,NULL,NULL);
INSERT INTO "entries" VALUES('8e6d43860bb5179f','948d1de82a9235d587ea5c0e91b42586bc6fea9bc813f1d3c910a26378964550','isolated',10.0,10.0,10.0,1,'2026-01-02 03:04:05.000000',1,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "entries" VALUES('8e6d43860bb5179f','b8bc2a36bc5d15b83d9e755eb4534c51c341749726e91465a4f12e6ded5540a8','isolated',1.0,1.0,1.0,1,'2026-01-02 03:04:05.000000',1,NULL,'0040801000080000811',3,3,NULL);
INSERT INTO "entries" VALUES('8e6d43860bb5179f','c3a1b7e87cc94481d2dd2e9c34b02a91edb326a57fee0d784bf8da647e313c36','isolated',1.0,1.0,1.0,1,'2026-01-02 03:04:05.000000',1,NULL,'0240801000080001601',NULL,NULL,NULL);
CREATE TABLE "events" (
	id INTEGER NOT NULL, 
	at DATETIME NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	data TEXT NOT NULL, 
	job_id VARCHAR(64), 
	device_id VARCHAR(64), 
	PRIMARY KEY (id), 
	CONSTRAINT ck_events_kind CHECK (kind IN ('job_created', 'job_cancelled', 'lease_claimed', 'lease_expired', 'lease_released', 'task_failed', 'snapshot_published', 'token_created', 'token_revoked', 'lease_superseded', 'job_retried', 'device_labelled', 'device_quarantined', 'device_released', 'target_drifted', 'transfer_offered'))
);
INSERT INTO "events" VALUES(1,'2026-11-29 06:50:16.196000','token_created','{"token_id": "token_68a3606429f99ee9", "scopes": "admin"}',NULL,NULL);
INSERT INTO "events" VALUES(2,'2026-11-29 06:50:16.729000','job_created','{"job_id": "job_4ffb818adbfab4e1", "tasks": 6}','job_4ffb818adbfab4e1',NULL);
INSERT INTO "events" VALUES(3,'2026-11-29 06:50:16.804000','lease_claimed','{"lease_id": "lease_221884b6af2d4be4", "device_id": "device_df4115b2a3c62830", "tasks": 6}',NULL,'device_df4115b2a3c62830');
INSERT INTO "events" VALUES(4,'2026-11-29 06:50:17.018000','lease_released','{"lease_id": "lease_221884b6af2d4be4", "device_id": "device_df4115b2a3c62830", "back": 0}',NULL,'device_df4115b2a3c62830');
INSERT INTO "events" VALUES(5,'2026-11-29 06:50:17.033000','snapshot_published','{"snapshot_id": "73a6e139af77eb6fcb76258011359dbdf7bc846f482a382b6b9529120af8aed0", "target_id": "8e6d43860bb5179f"}',NULL,NULL);
INSERT INTO "events" VALUES(6,'2026-11-29 06:50:17.043000','job_created','{"job_id": "job_c6fe9acf6d899f10", "tasks": 2}','job_c6fe9acf6d899f10',NULL);
INSERT INTO "events" VALUES(7,'2026-11-29 06:50:17.060000','lease_claimed','{"lease_id": "lease_f5ff19e69e27eb51", "device_id": "device_df4115b2a3c62830", "tasks": 2}',NULL,'device_df4115b2a3c62830');
CREATE TABLE in_network_estimates (
	target_id VARCHAR(16) NOT NULL, 
	subject_hash VARCHAR(64) NOT NULL, 
	value_ms DOUBLE NOT NULL, 
	low_ms DOUBLE NOT NULL, 
	high_ms DOUBLE NOT NULL, 
	visits INTEGER NOT NULL, 
	appearances INTEGER NOT NULL, 
	devices INTEGER NOT NULL, 
	measured_at DATETIME NOT NULL, 
	CONSTRAINT pk_in_network_estimates PRIMARY KEY (target_id, subject_hash), 
	CONSTRAINT fk_in_network_estimates_subject_hash FOREIGN KEY(subject_hash) REFERENCES subjects (hash), 
	CONSTRAINT fk_in_network_estimates_target_id FOREIGN KEY(target_id) REFERENCES targets (id)
);
CREATE TABLE jobs (
	id VARCHAR(64) NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	target_id VARCHAR(16) NOT NULL, 
	rounds INTEGER NOT NULL, 
	priority INTEGER NOT NULL, 
	created_at DATETIME NOT NULL, 
	visits_since DATETIME NOT NULL, 
	visits_at_start INTEGER NOT NULL, 
	started_at DATETIME, 
	cancelled_at DATETIME, "plan" TEXT, table_error_percent DOUBLE, 
	CONSTRAINT pk_jobs PRIMARY KEY (id), 
	CONSTRAINT fk_jobs_target_id FOREIGN KEY(target_id) REFERENCES targets (id)
);
INSERT INTO "jobs" VALUES('job_4ffb818adbfab4e1','job','8e6d43860bb5179f',1,0,'2026-11-29 06:50:16.729000','2026-10-30 06:50:16.729000',0,'2026-11-29 06:50:16.804000',NULL,NULL,NULL);
INSERT INTO "jobs" VALUES('job_c6fe9acf6d899f10','open','8e6d43860bb5179f',2,0,'2026-11-29 06:50:17.043000','2026-10-30 06:50:17.043000',0,'2026-11-29 06:50:17.060000',NULL,NULL,NULL);
CREATE TABLE "leases" (
	fence INTEGER NOT NULL, 
	id VARCHAR(64) NOT NULL, 
	device_id VARCHAR(64) NOT NULL, 
	target_id VARCHAR(16) NOT NULL, 
	state VARCHAR(32) NOT NULL, 
	claimed_at DATETIME NOT NULL, 
	expires_at DATETIME NOT NULL, 
	PRIMARY KEY (fence), 
	CONSTRAINT fk_leases_target_id FOREIGN KEY(target_id) REFERENCES targets (id), 
	CONSTRAINT uq_leases_id UNIQUE (id), 
	CONSTRAINT fk_leases_device_id FOREIGN KEY(device_id) REFERENCES devices (id), 
	CONSTRAINT ck_leases_state CHECK (state IN ('live', 'released', 'expired', 'superseded'))
);
INSERT INTO "leases" VALUES(1,'lease_221884b6af2d4be4','device_df4115b2a3c62830','8e6d43860bb5179f','released','2026-11-29 06:50:16.804000','2026-11-29 06:51:16.804000');
INSERT INTO "leases" VALUES(2,'lease_f5ff19e69e27eb51','device_df4115b2a3c62830','8e6d43860bb5179f','live','2026-11-29 06:50:17.060000','2026-11-29 06:51:17.060000');
CREATE TABLE models (
	sha256 VARCHAR(64) NOT NULL, 
	created_at DATETIME NOT NULL, 
	content BLOB NOT NULL, 
	CONSTRAINT pk_models PRIMARY KEY (sha256)
);
CREATE TABLE profiled_networks (
	target_id VARCHAR(16) NOT NULL, 
	subject_hash VARCHAR(64) NOT NULL, 
	operators TEXT NOT NULL, 
	operators_us BLOB NOT NULL, 
	places_ms BLOB NOT NULL, 
	visits INTEGER NOT NULL, 
	devices TEXT NOT NULL, 
	measured_at DATETIME NOT NULL, 
	CONSTRAINT pk_profiled_networks PRIMARY KEY (target_id, subject_hash), 
	CONSTRAINT fk_profiled_networks_subject_hash FOREIGN KEY(subject_hash) REFERENCES subjects (hash), 
	CONSTRAINT fk_profiled_networks_target_id FOREIGN KEY(target_id) REFERENCES targets (id)
);
CREATE TABLE repeats (
	token_id VARCHAR(64) NOT NULL, 
	"key" VARCHAR(200) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	created_at DATETIME NOT NULL, 
	answer TEXT NOT NULL, 
	CONSTRAINT pk_repeats PRIMARY KEY (token_id, "key")
);
CREATE TABLE server (
	one INTEGER NOT NULL, 
	id VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_server PRIMARY KEY (one), 
	CONSTRAINT ck_server_one_row CHECK (one = 1)
);
INSERT INTO "server" VALUES(1,'server_5927ac1c19459e22');
CREATE TABLE snapshot_calibrations (
	snapshot_id VARCHAR(64) NOT NULL, 
	calibrations TEXT NOT NULL, 
	CONSTRAINT pk_snapshot_calibrations PRIMARY KEY (snapshot_id), 
	CONSTRAINT fk_snapshot_calibrations_snapshot_id FOREIGN KEY(snapshot_id) REFERENCES snapshots (id)
);
INSERT INTO "snapshot_calibrations" VALUES('73a6e139af77eb6fcb76258011359dbdf7bc846f482a382b6b9529120af8aed0','[{"precision":"float32","model":"scale","scale":1.9999999999999998,"intercept_ms":0.0,"factors":{},"networks":[{"name":"five","subject_hash":"948d1de82a9235d587ea5c0e91b42586bc6fea9bc813f1d3c910a26378964550","sum_ms":5.0,"measured_ms":10.0}],"held_out":null,"interval_factor":null}]');
CREATE TABLE snapshots (
	id VARCHAR(64) NOT NULL, 
	target_id VARCHAR(16) NOT NULL, 
	created_at DATETIME NOT NULL, 
	published_at DATETIME NOT NULL, 
	document TEXT NOT NULL, 
	CONSTRAINT pk_snapshots PRIMARY KEY (id), 
	CONSTRAINT fk_snapshots_target_id FOREIGN KEY(target_id) REFERENCES targets (id)
);
INSERT INTO "snapshots" VALUES('73a6e139af77eb6fcb76258011359dbdf7bc846f482a382b6b9529120af8aed0','8e6d43860bb5179f','2026-11-29 06:50:17.033000','2026-11-29 06:50:17.033000','{"id":"73a6e139af77eb6fcb76258011359dbdf7bc846f482a382b6b9529120af8aed0","target_id":"8e6d43860bb5179f","identity":{"device_model":"Pixel 1","soc":"msm8996","os_build":"QP1A","abi":"arm64-v8a","runtime":"ai-edge-litert 2.3.0","runtime_sha256":"abababababababababababababababababababababababababababababababab","delegate":"xnnpack","threads":1,"affinity":"none","clock_policy":"free","protocol":"f633c0d09f786a5efbe9def822b38f6e96ff6aee0aba58ba35372d9bf131aa89"},"created_at":"2026-11-29T06:50:17.033000Z","entries":[{"subject_hash":"705b71c2c9abd1eb76b4dbdba108dc0df2e4c3d335336a9fb277f8955af802b4","kind":"operator","name":"classifier-in:16x16x16-out:1x1x10-float32","precision":"float32","method":"isolated","value_ms":1.0,"low_ms":1.0,"high_ms":1.0,"visits":1,"measured_at":"2026-01-02T03:04:05Z","devices":1,"disagreement_percent":null},{"subject_hash":"c3a1b7e87cc94481d2dd2e9c34b02a91edb326a57fee0d784bf8da647e313c36","kind":"operator","name":"head-in:16x16x8-out:16x16x16-act:relu6-float32","precision":"float32","method":"isolated","value_ms":1.0,"low_ms":1.0,"high_ms":1.0,"visits":1,"measured_at":"2026-01-02T03:04:05Z","devices":1,"disagreement_percent":null},{"subject_hash":"210d79c1355853cdc6698d068e526750a965df91bce0a56814d09ba906b442a8","kind":"operator","name":"mbconv-in:16x16x8-out:16x16x8-kernel:3-expand:2-stride:1-residual:1-act:relu6-float32","precision":"float32","method":"isolated","value_ms":1.0,"low_ms":1.0,"high_ms":1.0,"visits":1,"measured_at":"2026-01-02T03:04:05Z","devices":1,"disagreement_percent":null},{"subject_hash":"b8bc2a36bc5d15b83d9e755eb4534c51c341749726e91465a4f12e6ded5540a8","kind":"operator","name":"mbconv-in:16x16x8-out:16x16x8-kernel:3-expand:3-stride:1-residual:1-act:relu6-float32","precision":"float32","method":"isolated","value_ms":1.0,"low_ms":1.0,"high_ms":1.0,"visits":1,"measured_at":"2026-01-02T03:04:05Z","devices":1,"disagreement_percent":null},{"subject_hash":"ca11c45fe33e635d6ec875c7b3ae8944584ed62816ab61250a0201c52a10f1cb","kind":"operator","name":"stem-in:32x32x3-out:16x16x8-kernel:3-stride:2-act:relu6-float32","precision":"float32","method":"isolated","value_ms":1.0,"low_ms":1.0,"high_ms":1.0,"visits":1,"measured_at":"2026-01-02T03:04:05Z","devices":1,"disagreement_percent":null}],"calibrations":[{"precision":"float32","model":"scale","scale":1.9999999999999998,"intercept_ms":0.0,"factors":{},"networks":[{"name":"five","subject_hash":"948d1de82a9235d587ea5c0e91b42586bc6fea9bc813f1d3c910a26378964550","sum_ms":5.0,"measured_ms":10.0}],"held_out":null,"interval_factor":null}]}');
CREATE TABLE subjects (
	hash VARCHAR(64) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	precision VARCHAR(16), 
	document TEXT NOT NULL, shape VARCHAR(19), kernel INTEGER, expand INTEGER, 
	CONSTRAINT pk_subjects PRIMARY KEY (hash)
);
INSERT INTO "subjects" VALUES('210d79c1355853cdc6698d068e526750a965df91bce0a56814d09ba906b442a8','operator','mbconv-in:16x16x8-out:16x16x8-kernel:3-expand:2-stride:1-residual:1-act:relu6-float32','float32','{"kind":"operator","operator":{"input_size":16,"in_channels":8,"out_channels":8,"precision":"float32","stride":1,"kind":"mbconv","kernel":3,"expand":2,"residual":true,"activation":"relu6"}}','0040801000080000811',3,2);
INSERT INTO "subjects" VALUES('705b71c2c9abd1eb76b4dbdba108dc0df2e4c3d335336a9fb277f8955af802b4','operator','classifier-in:16x16x16-out:1x1x10-float32','float32','{"kind":"operator","operator":{"input_size":16,"in_channels":16,"out_channels":10,"precision":"float32","kind":"classifier"}}','0340801000160001000',NULL,NULL);
INSERT INTO "subjects" VALUES('948d1de82a9235d587ea5c0e91b42586bc6fea9bc813f1d3c910a26378964550','network','five','float32','{"kind":"network","network":{"name":"five","operators":[{"input_size":32,"in_channels":3,"out_channels":8,"precision":"float32","stride":2,"kind":"stem","kernel":3,"activation":"relu6"},{"input_size":16,"in_channels":8,"out_channels":8,"precision":"float32","stride":1,"kind":"mbconv","kernel":3,"expand":2,"residual":true,"activation":"relu6"},{"input_size":16,"in_channels":8,"out_channels":8,"precision":"float32","stride":1,"kind":"mbconv","kernel":3,"expand":3,"residual":true,"activation":"relu6"},{"input_size":16,"in_channels":8,"out_channels":16,"precision":"float32","kind":"head","activation":"relu6"},{"input_size":16,"in_channels":16,"out_channels":10,"precision":"float32","kind":"classifier"}]}}',NULL,NULL,NULL);
INSERT INTO "subjects" VALUES('b8bc2a36bc5d15b83d9e755eb4534c51c341749726e91465a4f12e6ded5540a8','operator','mbconv-in:16x16x8-out:16x16x8-kernel:3-expand:3-stride:1-residual:1-act:relu6-float32','float32','{"kind":"operator","operator":{"input_size":16,"in_channels":8,"out_channels":8,"precision":"float32","stride":1,"kind":"mbconv","kernel":3,"expand":3,"residual":true,"activation":"relu6"}}','0040801000080000811',3,3);
INSERT INTO "subjects" VALUES('c3a1b7e87cc94481d2dd2e9c34b02a91edb326a57fee0d784bf8da647e313c36','operator','head-in:16x16x8-out:16x16x16-act:relu6-float32','float32','{"kind":"operator","operator":{"input_size":16,"in_channels":8,"out_channels":16,"precision":"float32","kind":"head","activation":"relu6"}}','0240801000080001601',NULL,NULL);
INSERT INTO "subjects" VALUES('ca11c45fe33e635d6ec875c7b3ae8944584ed62816ab61250a0201c52a10f1cb','operator','stem-in:32x32x3-out:16x16x8-kernel:3-stride:2-act:relu6-float32','float32','{"kind":"operator","operator":{"input_size":32,"in_channels":3,"out_channels":8,"precision":"float32","stride":2,"kind":"stem","kernel":3,"activation":"relu6"}}','0140642000030000801',3,NULL);
INSERT INTO "subjects" VALUES('324645a91aeec75ddbbd2850e5e183fde4df8ca2fe9bf24e232c92b8803ba55a','operator','mbconv-in:56x56x24-out:56x56x24-kernel:3-expand:1-stride:1-residual:1-act:relu6-float32','float32','{"kind":"operator","operator":{"input_size":56,"in_channels":24,"out_channels":24,"precision":"float32","stride":1,"kind":"mbconv","kernel":3,"expand":1,"residual":true,"activation":"relu6"}}','0040401000240002411',3,1);
INSERT INTO "subjects" VALUES('8c0d3d3174dfc7f784b05ab0833e871b4bfaf2a8291e114ecd4737646bef55bd','operator','mbconv-in:56x56x24-out:56x56x24-kernel:3-expand:2-stride:1-residual:1-act:relu6-float32','float32','{"kind":"operator","operator":{"input_size":56,"in_channels":24,"out_channels":24,"precision":"float32","stride":1,"kind":"mbconv","kernel":3,"expand":2,"residual":true,"activation":"relu6"}}','0040401000240002411',3,2);
CREATE TABLE targets (
	id VARCHAR(16) NOT NULL, 
	identity TEXT NOT NULL, 
	created_at DATETIME NOT NULL, entries INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_targets PRIMARY KEY (id)
);
INSERT INTO "targets" VALUES('8e6d43860bb5179f','{"device_model":"Pixel 1","soc":"msm8996","os_build":"QP1A","abi":"arm64-v8a","runtime":"ai-edge-litert 2.3.0","runtime_sha256":"abababababababababababababababababababababababababababababababab","delegate":"xnnpack","threads":1,"affinity":"none","clock_policy":"free","protocol":"f633c0d09f786a5efbe9def822b38f6e96ff6aee0aba58ba35372d9bf131aa89"}','2026-11-29 06:50:16.657000',6);
CREATE TABLE task_failures (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	task_id VARCHAR(64) NOT NULL, 
	device_id VARCHAR(64) NOT NULL, 
	at DATETIME NOT NULL, 
	reason VARCHAR(2000) NOT NULL, 
	CONSTRAINT fk_task_failures_device_id FOREIGN KEY(device_id) REFERENCES devices (id), 
	CONSTRAINT fk_task_failures_task_id FOREIGN KEY(task_id) REFERENCES tasks (id)
);
CREATE TABLE "tasks" (
	id VARCHAR(64) NOT NULL, 
	job_id VARCHAR(64) NOT NULL, 
	target_id VARCHAR(16) NOT NULL, 
	subject_hash VARCHAR(64) NOT NULL, 
	position INTEGER NOT NULL, 
	state VARCHAR(32) NOT NULL, 
	lease_id VARCHAR(64), 
	visits_done INTEGER NOT NULL, 
	failures INTEGER NOT NULL, 
	reason VARCHAR(2000) NOT NULL, 
	retry_at DATETIME, method VARCHAR(16) DEFAULT 'isolated' NOT NULL, 
	CONSTRAINT pk_tasks PRIMARY KEY (id), 
	CONSTRAINT fk_tasks_subject_hash FOREIGN KEY(subject_hash) REFERENCES subjects (hash), 
	CONSTRAINT fk_tasks_lease_id FOREIGN KEY(lease_id) REFERENCES leases (id), 
	CONSTRAINT fk_tasks_job_id FOREIGN KEY(job_id) REFERENCES jobs (id), 
	CONSTRAINT ck_tasks_state CHECK (state IN ('queued', 'leased', 'done', 'failed', 'cancelled', 'reused')), 
	CONSTRAINT fk_tasks_target_id FOREIGN KEY(target_id) REFERENCES targets (id), 
	CONSTRAINT uq_tasks_job_id_target_id_subject_hash UNIQUE (job_id, target_id, subject_hash)
);
INSERT INTO "tasks" VALUES('task_7c778b27c9be57a3','job_4ffb818adbfab4e1','8e6d43860bb5179f','ca11c45fe33e635d6ec875c7b3ae8944584ed62816ab61250a0201c52a10f1cb',0,'done','lease_221884b6af2d4be4',1,0,'',NULL,'isolated');
INSERT INTO "tasks" VALUES('task_c7cc5bb9b39b6e95','job_4ffb818adbfab4e1','8e6d43860bb5179f','210d79c1355853cdc6698d068e526750a965df91bce0a56814d09ba906b442a8',1,'done','lease_221884b6af2d4be4',1,0,'',NULL,'isolated');
INSERT INTO "tasks" VALUES('task_a82dfd4af016f3c7','job_4ffb818adbfab4e1','8e6d43860bb5179f','b8bc2a36bc5d15b83d9e755eb4534c51c341749726e91465a4f12e6ded5540a8',2,'done','lease_221884b6af2d4be4',1,0,'',NULL,'isolated');
INSERT INTO "tasks" VALUES('task_1d3b565dd947767c','job_4ffb818adbfab4e1','8e6d43860bb5179f','c3a1b7e87cc94481d2dd2e9c34b02a91edb326a57fee0d784bf8da647e313c36',3,'done','lease_221884b6af2d4be4',1,0,'',NULL,'isolated');
INSERT INTO "tasks" VALUES('task_dc74863e9dd3188e','job_4ffb818adbfab4e1','8e6d43860bb5179f','705b71c2c9abd1eb76b4dbdba108dc0df2e4c3d335336a9fb277f8955af802b4',4,'done','lease_221884b6af2d4be4',1,0,'',NULL,'isolated');
INSERT INTO "tasks" VALUES('task_d963a0390ade49a2','job_4ffb818adbfab4e1','8e6d43860bb5179f','948d1de82a9235d587ea5c0e91b42586bc6fea9bc813f1d3c910a26378964550',5,'done','lease_221884b6af2d4be4',1,0,'',NULL,'isolated');
INSERT INTO "tasks" VALUES('task_0a1e36bec70da4d1','job_c6fe9acf6d899f10','8e6d43860bb5179f','324645a91aeec75ddbbd2850e5e183fde4df8ca2fe9bf24e232c92b8803ba55a',0,'leased','lease_f5ff19e69e27eb51',0,0,'',NULL,'isolated');
INSERT INTO "tasks" VALUES('task_fd8de1192e21f457','job_c6fe9acf6d899f10','8e6d43860bb5179f','8c0d3d3174dfc7f784b05ab0833e871b4bfaf2a8291e114ecd4737646bef55bd',1,'leased','lease_f5ff19e69e27eb51',0,0,'',NULL,'isolated');
CREATE TABLE tokens (
	id VARCHAR(64) NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	scopes VARCHAR(200) NOT NULL, 
	created_at DATETIME NOT NULL, 
	expires_at DATETIME, 
	last_used_at DATETIME, 
	revoked_at DATETIME, 
	CONSTRAINT pk_tokens PRIMARY KEY (id), 
	CONSTRAINT uq_tokens_digest UNIQUE (digest)
);
INSERT INTO "tokens" VALUES('token_68a3606429f99ee9','test','6e3d135a6aa4e9fb99a652b8bf06b6c1207f7680e7d8dc663c4cc52a0e977550','admin','2026-11-29 06:50:16.196000',NULL,'2026-11-29 06:50:16.630000',NULL);
CREATE TABLE visits (
	id CHAR(32) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	task_id VARCHAR(200) NOT NULL, 
	device_id VARCHAR(64) NOT NULL, 
	target_id VARCHAR(16) NOT NULL, 
	subject_hash VARCHAR(64) NOT NULL, 
	round INTEGER NOT NULL, 
	started_at DATETIME NOT NULL, 
	stored_at DATETIME NOT NULL, 
	count INTEGER NOT NULL, 
	min_us DOUBLE NOT NULL, 
	p5_us DOUBLE NOT NULL, 
	median_us DOUBLE NOT NULL, 
	p95_us DOUBLE NOT NULL, 
	mean_us DOUBLE NOT NULL, 
	std_us DOUBLE NOT NULL, 
	"before" TEXT NOT NULL, 
	"after" TEXT NOT NULL, 
	rejected VARCHAR(500) NOT NULL, 
	raw TEXT NOT NULL, profile TEXT, 
	CONSTRAINT pk_visits PRIMARY KEY (id), 
	CONSTRAINT fk_visits_device_id FOREIGN KEY(device_id) REFERENCES devices (id), 
	CONSTRAINT fk_visits_subject_hash FOREIGN KEY(subject_hash) REFERENCES subjects (hash), 
	CONSTRAINT fk_visits_target_id FOREIGN KEY(target_id) REFERENCES targets (id)
);
INSERT INTO "visits" VALUES('5c5277d774b84e599aed929b9b97a304','e738163d54c150d29d03df36942425169d1abe73c4eb61cd376f9c586f1083f1','task_c7cc5bb9b39b6e95','device_df4115b2a3c62830','8e6d43860bb5179f','210d79c1355853cdc6698d068e526750a965df91bce0a56814d09ba906b442a8',0,'2026-01-02 03:04:05.000000','2026-11-29 06:50:16.914000',5,1000.0,1000.0,1000.0,1000.0,1000.0,0.0,'{"load_1m":0.5,"steps":[]}','{"steps":[]}','','5 runs',NULL);
INSERT INTO "visits" VALUES('b731c86c47814c6787ace9e3c3ddda5b','758f7f05ba40d91ac46191287c87fc3a970a5f28a3d0a4814cbf3b14b3e8c130','task_dc74863e9dd3188e','device_df4115b2a3c62830','8e6d43860bb5179f','705b71c2c9abd1eb76b4dbdba108dc0df2e4c3d335336a9fb277f8955af802b4',0,'2026-01-02 03:04:05.000000','2026-11-29 06:50:16.914000',5,1000.0,1000.0,1000.0,1000.0,1000.0,0.0,'{"load_1m":0.5,"steps":[]}','{"steps":[]}','','5 runs',NULL);
INSERT INTO "visits" VALUES('bd7044e90b6944d6bd37c7f3dab02a6d','f911d362ce0d02619ba28a601022e818e8abf792b61676def710e102a9e0a94d','task_7c778b27c9be57a3','device_df4115b2a3c62830','8e6d43860bb5179f','ca11c45fe33e635d6ec875c7b3ae8944584ed62816ab61250a0201c52a10f1cb',0,'2026-01-02 03:04:05.000000','2026-11-29 06:50:16.914000',5,1000.0,1000.0,1000.0,1000.0,1000.0,0.0,'{"load_1m":0.5,"steps":[]}','{"steps":[]}','','5 runs',NULL);
INSERT INTO "visits" VALUES('be6553bee5c34b5d8deca64f6ebaaac0','58a1f12afb70c7dc0ef2e5b2556f5278191b603621ba57eeb970b6e856990151','task_d963a0390ade49a2','device_df4115b2a3c62830','8e6d43860bb5179f','948d1de82a9235d587ea5c0e91b42586bc6fea9bc813f1d3c910a26378964550',0,'2026-01-02 03:04:05.000000','2026-11-29 06:50:16.914000',5,10000.0,10000.0,10000.0,10000.0,10000.0,0.0,'{"load_1m":0.5,"steps":[]}','{"steps":[]}','','5 runs',NULL);
INSERT INTO "visits" VALUES('d347ca15b4c145389f8c83fd74e22306','b64b532827a3296c5ef8713bc983ac5e64d579311b197b40b8ff5bf752673035','task_a82dfd4af016f3c7','device_df4115b2a3c62830','8e6d43860bb5179f','b8bc2a36bc5d15b83d9e755eb4534c51c341749726e91465a4f12e6ded5540a8',0,'2026-01-02 03:04:05.000000','2026-11-29 06:50:16.914000',5,1000.0,1000.0,1000.0,1000.0,1000.0,0.0,'{"load_1m":0.5,"steps":[]}','{"steps":[]}','','5 runs',NULL);
INSERT INTO "visits" VALUES('eea62a81487f4d7a9fede80eaaa08328','abb492ce1cdda9812b98cf842d95dbd96524f9e7336d7ee06f71b1fa8585f6a9','task_1d3b565dd947767c','device_df4115b2a3c62830','8e6d43860bb5179f','c3a1b7e87cc94481d2dd2e9c34b02a91edb326a57fee0d784bf8da647e313c36',0,'2026-01-02 03:04:05.000000','2026-11-29 06:50:16.914000',5,1000.0,1000.0,1000.0,1000.0,1000.0,0.0,'{"load_1m":0.5,"steps":[]}','{"steps":[]}','','5 runs',NULL);
CREATE INDEX ix_device_targets_target_id ON device_targets (target_id);
CREATE INDEX ix_jobs_created_at ON jobs (created_at);
CREATE INDEX ix_jobs_target_id ON jobs (target_id);
CREATE INDEX ix_snapshots_latest ON snapshots (target_id, published_at);
CREATE INDEX ix_visits_subject ON visits (target_id, subject_hash, stored_at);
CREATE INDEX ix_visits_task_id ON visits (task_id);
CREATE UNIQUE INDEX uq_leases_live_device ON leases (device_id) WHERE state = 'live';
CREATE INDEX ix_tasks_target_id_state ON tasks (target_id, state);
CREATE INDEX ix_tasks_lease_id ON tasks (lease_id);
CREATE INDEX ix_tasks_open_subject ON tasks (target_id, subject_hash) WHERE state IN ('queued', 'leased');
CREATE INDEX ix_task_failures_task_id ON task_failures (task_id);
CREATE INDEX ix_repeats_created_at ON repeats (created_at);
CREATE INDEX ix_entries_shape ON entries (target_id, shape, kernel, expand);
CREATE INDEX ix_entries_disagreement ON entries (target_id, disagreement_percent) WHERE disagreement_percent IS NOT NULL;
CREATE INDEX ix_visits_device_id ON visits (device_id, started_at);
CREATE INDEX ix_visits_profiled ON visits (target_id) WHERE profile IS NOT NULL;
CREATE INDEX ix_events_device_id ON events (device_id, id);
CREATE INDEX ix_events_job_id ON events (job_id, id);
DELETE FROM "sqlite_sequence";
COMMIT;
