# The instance b, made of b.env: change that, and render again.
job "xtrader-b" {
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
      size = 9216
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
        AWS_REGION                = "eu-central-1"
        SUBSCRIPTIONS             = "L2:BINANCE_SPOT@BTCUSDT,TRADES:BINANCE_SPOT@BTCUSDT"
        XDG_STATE_HOME            = "/alloc/data/.state"
        XTRADER_CACHE_DIRECTORY   = "/alloc/data/.cache/xtrader"
        XTRADER_CONNECTIONS       = "2"
        XTRADER_HTTP              = "0.0.0.0:9190"
        XTRADER_JOURNAL_DIRECTORY = "/alloc/data/.journal"
        XTRADER_JOURNAL_MAX_BYTES = "4GiB"
        XTRADER_OUTPUT_DIRECTORY  = "s3://recordings/b"
      }

      service {
        name     = "xtrader-b"
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
