# The instance c, made of c.env: change that, and render again.
job "xtrader-c" {
  type = "service"

  update {
    max_parallel      = 1
    canary            = 0 # recorded files stay on the volume, which one recorder at a time can have
    min_healthy_time  = "30s"
    healthy_deadline  = "5m"
    progress_deadline = "10m"
    auto_revert       = true
  }

  group "recorder" {
    count = 1

    volume "data" {
      type   = "host"
      source = "xtrader-c"
    }

    restart {
      attempts = 10
      interval = "10m"
      delay    = "5s"
      mode     = "delay"
    }

    task "xtrader" {
      driver       = "docker"
      user         = "10001:10001"
      kill_signal  = "SIGTERM"
      kill_timeout = "45s"

      config {
        image           = "registry.example/xtrader@sha256:0000000000000000000000000000000000000000000000000000000000000000"
        readonly_rootfs = true
        cap_drop        = ["all"]
        security_opt    = ["no-new-privileges"]
        pids_limit      = 256
      }

      volume_mount {
        volume      = "data"
        destination = "/data"
      }

      env {
        DERIBIT_CLIENT_ID_FILE     = "/secrets/DERIBIT_CLIENT_ID"
        DERIBIT_CLIENT_SECRET_FILE = "/secrets/DERIBIT_CLIENT_SECRET"
        DERIBIT_USE_TESTNET        = "false"
        SUBSCRIPTIONS              = "L2:DERIBIT@BTC-PERPETUAL,TRADES:DERIBIT@BTC-PERPETUAL"
        XDG_STATE_HOME             = "/data/.state"
        XTRADER_CACHE_DIRECTORY    = "/data/.cache/xtrader"
        XTRADER_COLLECTOR_ID       = "frankfurt-1"
        XTRADER_HTTP               = "0.0.0.0:9090"
        XTRADER_JOURNAL_DIRECTORY  = "/data/.journal"
        XTRADER_OUTPUT_DIRECTORY   = "/data"
        XTRADER_RAW_DIRECTORY      = "/data/raw"
        XTRADER_ROTATE_SECONDS     = "3600"
      }

      template {
        data        = "{{ with nomadVar \"nomad/jobs/xtrader-c\" }}{{ .DERIBIT_CLIENT_ID }}{{ end }}"
        destination = "secrets/DERIBIT_CLIENT_ID"
        perms       = "0400"
        uid         = 10001
        gid         = 10001
      }

      template {
        data        = "{{ with nomadVar \"nomad/jobs/xtrader-c\" }}{{ .DERIBIT_CLIENT_SECRET }}{{ end }}"
        destination = "secrets/DERIBIT_CLIENT_SECRET"
        perms       = "0400"
        uid         = 10001
        gid         = 10001
      }

      service {
        name     = "xtrader-c"
        provider = "consul" # Nomad's own services know no script checks: without Consul leave this block away

        check {
          type     = "script"
          command  = "xtrader"
          args     = ["status"]
          interval = "30s"
          timeout  = "10s"
        }
      }

      resources {
        cpu        = 500
        memory     = 256
        memory_max = 1024
      }
    }
  }
}
