"""The parts of an instance's CloudFormation stack round its task: roles, network, alarms.

Rule: a role names what it reaches.
"""

from __future__ import annotations

from typing import Any

from xtrader.deploy.instance import Instance

Json = dict[str, Any]
FILE_SYSTEM_PORT = 2049
ECR = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")


def sub(text: str) -> Json:
    """A text in which CloudFormation replaces ${…}."""
    return {"Fn::Sub": text}


def roles(one: Instance) -> Json:
    """What starts the task (pulls, logs, secrets), and what the recorder itself may do (its bucket, its file system)."""
    starts = [
        _allow("*", "ecr:GetAuthorizationToken"),
        _allow(sub("arn:${AWS::Partition}:ecr:${AWS::Region}:${AWS::AccountId}:repository/*"), *ECR),
        _allow(
            {"Fn::Join": ["", [_logs(), f":log-stream:{one.name}/*"]]},
            "logs:CreateLogStream",
            "logs:PutLogEvents",
        ),
    ]
    if one.secrets:
        stored = sub(f"arn:${{AWS::Partition}}:ssm:${{AWS::Region}}:${{AWS::AccountId}}:parameter/xtrader/{one.name}/*")
        starts.append(
            {
                "Fn::If": [
                    "HasSecretsManager",
                    _allow({"Ref": "SecretsManager"}, "secretsmanager:GetSecretValue"),
                    _allow(stored, "ssm:GetParameters"),
                ]
            }
        )
    records = []
    if one.bucket:
        bucket, _, prefix = one.bucket.partition("/")
        arn = f"arn:${{AWS::Partition}}:s3:::{bucket}"
        objects = sub(f"{arn}/{prefix}/*" if prefix else f"{arn}/*")
        records.append(_allow(objects, "s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"))
        lists = _allow(sub(arn), "s3:ListBucket", "s3:ListBucketMultipartUploads")
        records.append(lists | ({"Condition": {"StringLike": {"s3:prefix": [f"{prefix}/*", prefix]}}} if prefix else {}))
    if one.keeps_files:
        system = sub("arn:${AWS::Partition}:elasticfilesystem:${AWS::Region}:${AWS::AccountId}:file-system/${FileSystem}")
        point = sub("arn:${AWS::Partition}:elasticfilesystem:${AWS::Region}:${AWS::AccountId}:access-point/${AccessPoint}")
        mounts = _allow(system, "elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite")
        records.append(mounts | {"Condition": {"StringEquals": {"elasticfilesystem:AccessPointArn": point}}})
    return {"ExecutionRole": _role(starts), "TaskRole": _role(records)}


def network(one: Instance) -> Json:
    """Nothing in; out only to the ports that the recorder calls (names are answered by the VPC itself, past all groups)."""
    ports = [*one.ports, *((FILE_SYSTEM_PORT,) if one.keeps_files else ())]
    rules = [
        {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "CidrIp": "0.0.0.0/0", "Description": "what the recorder calls"}
        for port in ports
    ]
    about = {"GroupDescription": f"The recorder {one.name}: nothing in", "VpcId": {"Ref": "Vpc"}, "SecurityGroupEgress": rules}
    return {"Network": {"Type": "AWS::EC2::SecurityGroup", "Properties": about}}


def alarms(one: Instance) -> Json:
    """Not running, short of memory or processor, errors in the log."""
    service = [
        {"Name": "ClusterName", "Value": {"Fn::ImportValue": "xtrader-cluster"}},
        {"Name": "ServiceName", "Value": {"Fn::GetAtt": ["Service", "Name"]}},
    ]
    metric = f"errors-{one.name}"
    transformation = {"MetricNamespace": "xtrader", "MetricName": metric, "MetricValue": "1", "DefaultValue": 0}
    return {
        "NotRunning": _alarm(
            f"{one.name} does not run",
            "ECS/ContainerInsights",
            "RunningTaskCount",
            service,
            "Minimum",
            "<",
            1,
            "breaching",
        ),
        "MemoryShort": _alarm(
            f"{one.name} uses 90 % of its memory",
            "AWS/ECS",
            "MemoryUtilization",
            service,
            "Maximum",
            ">",
            90,
            "missing",
        ),
        "ProcessorShort": _alarm(
            f"{one.name} uses 90 % of its processor",
            "AWS/ECS",
            "CPUUtilization",
            service,
            "Average",
            ">",
            90,
            "missing",
        ),
        "ErrorLines": {
            "Type": "AWS::Logs::MetricFilter",
            "Properties": {
                "LogGroupName": {"Fn::ImportValue": "xtrader-logs"},
                "FilterPattern": '{ $.level = "error" }',
                "MetricTransformations": [transformation],
            },
        },
        "Errors": _alarm(f"{one.name} logs errors", "xtrader", metric, [], "Sum", ">", 0, "notBreaching"),
    }


def _logs() -> Json:
    group: Json = {"Group": {"Fn::ImportValue": "xtrader-logs"}}
    return {"Fn::Sub": ["arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:${Group}", group]}


def _allow(resource: object, *actions: str) -> Json:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


def _role(statements: list[Json]) -> Json:
    assumed = {
        "Effect": "Allow",
        "Principal": {"Service": "ecs-tasks.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
    }
    properties: Json = {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [assumed]}}
    if statements:
        document = {"Version": "2012-10-17", "Statement": statements}
        properties["Policies"] = [{"PolicyName": "xtrader", "PolicyDocument": document}]
    return {"Type": "AWS::IAM::Role", "Properties": properties}


def _alarm(
    about: str, space: str, metric: str, dimensions: list[Json], statistic: str, sign: str, limit: int, without: str
) -> Json:
    topic = {"Fn::If": ["HasTopic", [{"Ref": "AlarmTopic"}], {"Ref": "AWS::NoValue"}]}
    compared = {"<": "LessThanThreshold", ">": "GreaterThanThreshold"}[sign]
    properties: Json = {
        "AlarmDescription": about,
        "Namespace": space,
        "MetricName": metric,
        "Statistic": statistic,
        "Period": 60,
        "EvaluationPeriods": 3,
        "ComparisonOperator": compared,
        "Threshold": limit,
        "TreatMissingData": without,
        "AlarmActions": topic,
        "OKActions": topic,
    }
    return {"Type": "AWS::CloudWatch::Alarm", "Properties": properties | ({"Dimensions": dimensions} if dimensions else {})}
