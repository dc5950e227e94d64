# The instance a, made of a.env: change that, and render again.
job "xtrader-a" {
  type = "service"

  update {
    max_parallel      = 1
    canary            = 1
    auto_promote      = true
    min_healthy_time  = "30s"
    healthy_deadline  = "5m"
    progress_deadline = "10m"
    auto_revert       = true
  }

  group "recorder" {
    count = 1

    ephemeral_disk {
      size = 17408
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

      env {
        QUESTDB_HOST              = "questdb.internal"
        QUESTDB_PASSWORD_FILE     = "/secrets/QUESTDB_PASSWORD"
        QUESTDB_USERNAME          = "xtrader"
        SUBSCRIPTIONS             = "L2:OKX_SWAP@BTCUSDT,TRADES:OKX_SWAP@BTCUSDT,TRADES:BINANCE_FUTURES@ETHUSDT"
        XDG_STATE_HOME            = "/alloc/data/.state"
        XTRADER_CACHE_DIRECTORY   = "/alloc/data/.cache/xtrader"
        XTRADER_HTTP              = "0.0.0.0:9090"
        XTRADER_JOURNAL_DIRECTORY = "/alloc/data/.journal"
        XTRADER_LOG               = "info"
        XTRADER_SINK              = "questdb"
        XTRADER_VERBOSE           = "true"
      }

      template {
        data        = "{{ with nomadVar \"nomad/jobs/xtrader-a\" }}{{ .QUESTDB_PASSWORD }}{{ end }}"
        destination = "secrets/QUESTDB_PASSWORD"
        perms       = "0400"
        uid         = 10001
        gid         = 10001
      }

      service {
        name     = "xtrader-a"
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
        memory     = 320
        memory_max = 1024
      }
    }
  }
}
