using Serverless.Hosting.Dapr;
using Shouldly;
using YamlDotNet.RepresentationModel;

namespace Serverless.Tests.Components;

/// <summary><c>dapr.yaml</c> against the keys that the dapr CLI's parser knows; it passes over others in silence.</summary>
public sealed class DaprYamlTests
{
    private static readonly HashSet<string> CommonKeys = new(StringComparer.Ordinal)
    {
        "resourcesPaths", "configFilePath", "env", "appProtocol", "logLevel", "enableAppHealthCheck", "appHealthCheckPath", "appHealthProbeInterval", "appHealthProbeTimeout", "appHealthThreshold",
        "maxBodySize", "readBufferSize", "runtimePath", "placementHostAddress", "schedulerHostAddress",
    };

    private static readonly HashSet<string> AppKeys = new(CommonKeys, StringComparer.Ordinal)
    {
        "appDirPath", "appID", "appPort", "command", "appMaxConcurrency", "daprHTTPPort", "daprGRPCPort", "daprInternalGRPCPort", "metricsPort", "profilePort", "appLogDestination", "daprdLogDestination",
    };

    private static readonly YamlMappingNode Root = YamlFolder.Read(Path.Combine(Repository.Root, "dapr.yaml")).Single();

    private static readonly YamlNode[] Apps = [.. ((YamlSequenceNode)YamlFolder.At(Root, "apps")!).Children];

    [Fact]
    public void It_has_the_keys_that_the_parser_knows()
    {
        Keys(Root).ShouldBe(["version", "common", "apps"], ignoreOrder: true);
        YamlFolder.Text(Root, "version").ShouldBe("1");
        Keys(YamlFolder.At(Root, "common")!).Except(CommonKeys).ShouldBeEmpty();
        foreach (var app in Apps) Keys(app).Except(AppKeys).ShouldBeEmpty(YamlFolder.Text(app, "appID"));
    }

    [Fact]
    public void It_starts_the_three_apps() =>
        Apps.Select(app => YamlFolder.Text(app, "appID")).ShouldBe([DaprNames.GatewayApp, DaprNames.ScalerApp, DaprNames.WorkerApp], ignoreOrder: true);

    [Fact]
    public void Its_paths_exist()
    {
        foreach (var path in YamlFolder.List(Root, "common", "resourcesPaths").Append(YamlFolder.Text(Root, "common", "configFilePath")!)) Path.Exists(Path.Combine(Repository.Root, path)).ShouldBeTrue(path);
        foreach (var app in Apps) Directory.Exists(Path.Combine(Repository.Root, YamlFolder.Text(app, "appDirPath").ShouldNotBeNull())).ShouldBeTrue();
    }

    [Fact]
    public void Every_command_is_a_program_of_this_solution()
    {
        foreach (var app in Apps)
        {
            var command = YamlFolder.List(app, "command");
            command[0].ShouldBe("dotnet");
            var name = Path.GetFileNameWithoutExtension(command[1]);
            command[1].ShouldBe($"artifacts/bin/{name}/release/{name}.dll");
            var project = new[] { "src", "scalers" }.Select(folder => Path.Combine(Repository.Root, folder, name, $"{name}.csproj")).Single(File.Exists);
            File.ReadAllText(project).ShouldContain("<OutputType>Exe</OutputType>");
        }
    }

    [Fact]
    public void No_port_is_used_twice()
    {
        var ports = Apps.SelectMany(app => new[] { "appPort", "daprHTTPPort", "daprGRPCPort", "metricsPort" }.Select(key => YamlFolder.Text(app, key).ShouldNotBeNull($"{YamlFolder.Text(app, "appID")}: {key}"))).ToList();

        ports.ShouldBeUnique();
    }

    private static IEnumerable<string> Keys(YamlNode node) => ((YamlMappingNode)node).Children.Keys.Select(key => ((YamlScalarNode)key).Value!);
}
