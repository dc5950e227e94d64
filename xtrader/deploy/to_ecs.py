"""Amazon ECS on Fargate by CloudFormation: what all instances share, and a stack for each instance with its own least rights.

Rule: each instance's roles reach its own secrets, its own prefix of a bucket and its own log stream, nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from xtrader.deploy import quoting
from xtrader.deploy.ecs_stack import Json, alarms, network, roles, sub
from xtrader.deploy.instance import DATA, Instance
from xtrader.deploy.rendered import Rendered
from xtrader.deploy.workload import HEALTH, USER, Image, fargate, needs, refuse_fixed_collector
from xtrader.errors import ConfigError

STOP_SECONDS = 120
"""The most that Fargate gives."""
DISK_GIB = (21, 200)
"""The least and most of a task's own disk."""
PLAIN_LOGS = "No secret reaches the log; CloudWatch encrypts it with a key of its own"
MOST_BYTES = 64 * 1024
"""Of a task definition."""


def render(instances: Sequence[Instance], image: Image) -> Rendered:
    """foundation.json and NAME.json. Raises ConfigError."""
    made = Rendered({"foundation.json": _text(foundation())})
    made.todo.append("aws cloudformation deploy --stack-name xtrader --template-file foundation.json")
    for one in instances:
        text = _text(stack(one, image))
        if len(text) > MOST_BYTES:
            raise ConfigError(f"'{one.file}' is too long for ECS, which takes at most 64 KiB; part it into two instances")
        made.files[f"{one.name}.json"] = text
        for name in one.secrets:
            made.todo.append(f"aws ssm put-parameter --type SecureString --name /xtrader/{one.name}/{name} --value file://FILE")
        files = " FileSystem=fs-… AccessPoint=fsap-…" if one.keeps_files else ""
        made.todo.append(
            f"aws cloudformation deploy --stack-name xtrader-{one.name} --template-file {one.name}.json "
            f"--capabilities CAPABILITY_IAM --parameter-overrides Vpc=vpc-… Subnets=subnet-…,subnet-…{files}"
        )
    made.todo.append(f"# another version: the same with --parameter-overrides Image={image.name}@sha256:…")
    return made


def foundation() -> Json:
    """The cluster and the log group, whose names other stacks import."""
    cluster = {"ClusterName": "xtrader", "ClusterSettings": [{"Name": "containerInsights", "Value": "enabled"}]}
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "xtrader: the cluster and log group that all instances share",
        "Parameters": {"LogDays": {"Type": "Number", "Default": 90, "AllowedValues": [30, 90, 180, 365]}},
        "Resources": {
            "Cluster": {"Type": "AWS::ECS::Cluster", "Properties": cluster},
            "Logs": {
                "Type": "AWS::Logs::LogGroup",
                "DeletionPolicy": "Retain",
                "UpdateReplacePolicy": "Retain",
                "Metadata": {"checkov": {"skip": [{"id": "CKV_AWS_158", "comment": PLAIN_LOGS}]}},
                "Properties": {"LogGroupName": "/ecs/xtrader", "RetentionInDays": {"Ref": "LogDays"}},
            },
        },
        "Outputs": {
            "Cluster": {"Value": {"Ref": "Cluster"}, "Export": {"Name": "xtrader-cluster"}},
            "Logs": {"Value": {"Ref": "Logs"}, "Export": {"Name": "xtrader-logs"}},
        },
    }


def stack(one: Instance, image: Image) -> Json:
    """Everything of one instance. Raises ConfigError."""
    parameters: dict[str, Json] = {
        "Image": {"Type": "String", "Default": str(image), "Description": "The image, by digest or an immutable tag"},
        "Vpc": {"Type": "AWS::EC2::VPC::Id"},
        "Subnets": {"Type": "List<AWS::EC2::Subnet::Id>"},
        "PublicIp": {"Type": "String", "Default": "DISABLED", "AllowedValues": ["ENABLED", "DISABLED"]},
        "Architecture": {"Type": "String", "Default": "X86_64", "AllowedValues": ["X86_64", "ARM64"]},
        "AlarmTopic": {"Type": "String", "Default": "", "Description": "ARN of an SNS topic; empty: alarms tell nobody"},
    }
    conditions: Json = {"HasTopic": {"Fn::Not": [{"Fn::Equals": [{"Ref": "AlarmTopic"}, ""]}]}}
    if one.secrets:
        about = "ARN of a Secrets Manager secret with a JSON key for each variable; empty: Parameter Store, /xtrader/NAME/VARIABLE"
        parameters["SecretsManager"] = {"Type": "String", "Default": "", "Description": about}
        conditions["HasSecretsManager"] = {"Fn::Not": [{"Fn::Equals": [{"Ref": "SecretsManager"}, ""]}]}
    if one.keeps_files:
        parameters["FileSystem"] = {"Type": "String", "Description": "The EFS file system that files stay on: fs-..."}
        parameters["AccessPoint"] = {"Type": "String", "Description": f"Its access point, of user and group {USER}: fsap-..."}
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"xtrader: the instance {one.name}",
        "Parameters": parameters,
        "Conditions": conditions,
        "Resources": {
            **roles(one),
            **network(one),
            "Task": {"Type": "AWS::ECS::TaskDefinition", "Properties": task(one)},
            "Service": {"Type": "AWS::ECS::Service", "Properties": service(one)},
            **alarms(one),
        },
        "Outputs": {"Service": {"Value": {"Fn::GetAtt": ["Service", "Name"]}}, "Task": {"Value": {"Ref": "Task"}}},
    }


def task(one: Instance) -> Json:
    """The task definition: what runs, with what, and how it is stopped."""
    refuse_fixed_collector(one, "ECS")
    needed = needs(one)
    cpu, memory = fargate(needed)
    disk = max(DISK_GIB[0], -(-needed.disk // 1024))
    if disk > DISK_GIB[1] and not one.keeps_files:
        raise ConfigError(
            f"'{one.file}' needs {disk} GiB of disk, and Fargate has at most {DISK_GIB[1]}; lower XTRADER_JOURNAL_MAX_BYTES"
        )
    values = quoting.quoted(one, one.environment(), "ECS", quoting.ecs) | {"TMPDIR": DATA}
    container: Json = {
        "Name": "xtrader",
        "Image": {"Ref": "Image"},
        "Essential": True,
        "ReadonlyRootFilesystem": True,
        "User": f"{USER}:{USER}",
        "StopTimeout": STOP_SECONDS,
        "LinuxParameters": {"Capabilities": {"Drop": ["ALL"]}},
        "MountPoints": [{"SourceVolume": "data", "ContainerPath": DATA, "ReadOnly": False}],
        "Environment": [{"Name": name, "Value": text} for name, text in sorted(values.items())],
        "HealthCheck": {"Command": ["CMD", *HEALTH], "Interval": 30, "Timeout": 10, "Retries": 3, "StartPeriod": 60},
        "LogConfiguration": {
            "LogDriver": "awslogs",
            "Options": {
                "awslogs-group": {"Fn::ImportValue": "xtrader-logs"},
                "awslogs-region": {"Ref": "AWS::Region"},
                "awslogs-stream-prefix": one.name,
                "mode": "non-blocking",
                "max-buffer-size": "4m",
            },
        },
    }
    if one.secrets:
        container["Secrets"] = [{"Name": name, "ValueFrom": _secret(one, name)} for name in one.secrets]
    definition: Json = {
        "Family": f"xtrader-{one.name}",
        "RequiresCompatibilities": ["FARGATE"],
        "NetworkMode": "awsvpc",
        "Cpu": str(cpu),
        "Memory": str(memory),
        "RuntimePlatform": {"CpuArchitecture": {"Ref": "Architecture"}, "OperatingSystemFamily": "LINUX"},
        "ExecutionRoleArn": {"Fn::GetAtt": ["ExecutionRole", "Arn"]},
        "TaskRoleArn": {"Fn::GetAtt": ["TaskRole", "Arn"]},
        "Volumes": [_volume(one)],
        "ContainerDefinitions": [container],
    }
    if not one.keeps_files:
        definition["EphemeralStorage"] = {"SizeInGiB": disk}
    return definition


def service(one: Instance) -> Json:
    """One task. The new one runs beside the old one until it is healthy, unless files stay on a volume that only one can have."""
    most, least = (100, 0) if one.keeps_files else (200, 100)
    return {
        "ServiceName": f"xtrader-{one.name}",
        "Cluster": {"Fn::ImportValue": "xtrader-cluster"},
        "TaskDefinition": {"Ref": "Task"},
        "LaunchType": "FARGATE",
        "PlatformVersion": "1.4.0",
        "DesiredCount": 1,
        "DeploymentConfiguration": {
            "MaximumPercent": most,
            "MinimumHealthyPercent": least,
            "DeploymentCircuitBreaker": {"Enable": True, "Rollback": True},
        },
        "NetworkConfiguration": {
            "AwsvpcConfiguration": {
                "Subnets": {"Ref": "Subnets"},
                "SecurityGroups": [{"Ref": "Network"}],
                "AssignPublicIp": {"Ref": "PublicIp"},
            }
        },
        "EnableECSManagedTags": True,
        "PropagateTags": "SERVICE",
        "Tags": [{"Key": "xtrader:instance", "Value": one.name}],
    }


def _volume(one: Instance) -> Json:
    if not one.keeps_files:
        return {"Name": "data"}
    return {
        "Name": "data",
        "EFSVolumeConfiguration": {
            "FilesystemId": {"Ref": "FileSystem"},
            "TransitEncryption": "ENABLED",
            "AuthorizationConfig": {"AccessPointId": {"Ref": "AccessPoint"}, "IAM": "ENABLED"},
        },
    }


def _secret(one: Instance, name: str) -> Json:
    stored = sub(f"arn:${{AWS::Partition}}:ssm:${{AWS::Region}}:${{AWS::AccountId}}:parameter/xtrader/{one.name}/{name}")
    return {"Fn::If": ["HasSecretsManager", sub(f"${{SecretsManager}}:{name}::"), stored]}


def _text(template: Json) -> str:
    return json.dumps(template, indent=2) + "\n"
