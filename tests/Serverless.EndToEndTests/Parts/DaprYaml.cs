using System.Globalization;
using System.Text.RegularExpressions;
using YamlDotNet.RepresentationModel;

namespace Serverless.EndToEndTests.Parts;

/// <summary><c>dapr.yaml</c> as the dapr CLI reads it: apps, each with its command, environment and the flags of its sidecar. Ports are moved to free ones, everywhere they are named alike.</summary>
internal sealed partial class DaprYaml
{
    private readonly Dictionary<string, int> _ports = new(StringComparer.Ordinal);

    private DaprYaml(YamlMappingNode root)
    {
        var common = (YamlMappingNode)root.Children["common"];
        Apps = [.. ((YamlSequenceNode)root.Children["apps"]).Children.Cast<YamlMappingNode>().Select(app => Read(app, common))];
    }

    public IReadOnlyList<DaprYamlApp> Apps { get; }

    public static DaprYaml Load(string path)
    {
        var stream = new YamlStream();
        using var reader = new StreamReader(path);
        stream.Load(reader);
        return new DaprYaml((YamlMappingNode)stream.Documents[0].RootNode);
    }

    /// <summary>The free port that stands for one of the file's.</summary>
    public int Port(string named)
    {
        if (!_ports.TryGetValue(named, out var port)) _ports[named] = port = PartProcess.FreePort();
        return port;
    }

    private static string? Text(YamlMappingNode node, string key) => node.Children.TryGetValue(new YamlScalarNode(key), out var value) ? ((YamlScalarNode)value).Value : null;

    private static IEnumerable<KeyValuePair<string, string>> Map(YamlMappingNode node, string key) => node.Children.TryGetValue(new YamlScalarNode(key), out var value)
        ? ((YamlMappingNode)value).Children.Select(entry => new KeyValuePair<string, string>(((YamlScalarNode)entry.Key).Value!, ((YamlScalarNode)entry.Value).Value!))
        : [];

    private static IEnumerable<string> List(YamlMappingNode node, string key) =>
        node.Children.TryGetValue(new YamlScalarNode(key), out var value) ? ((YamlSequenceNode)value).Children.Select(child => ((YamlScalarNode)child).Value!) : [];

    private DaprYamlApp Read(YamlMappingNode app, YamlMappingNode common)
    {
        var environment = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (name, value) in Map(common, "env").Concat(Map(app, "env"))) environment[name] = PortInValue().Replace(value, match => Port(match.Value).ToString(CultureInfo.InvariantCulture));

        List<string> flags = [];
        foreach (var path in List(app, "resourcesPaths").Concat(List(common, "resourcesPaths"))) flags.AddRange(["--resources-path", path]);
        Flag("configFilePath", "--config");
        Flag("maxBodySize", "--max-body-size");
        Flag("readBufferSize", "--read-buffer-size");
        Flag("appProtocol", "--app-protocol");
        Flag("appHealthCheckPath", "--app-health-check-path");
        Flag("placementHostAddress", "--placement-host-address");
        Flag("schedulerHostAddress", "--scheduler-host-address");
        if ((Text(app, "enableAppHealthCheck") ?? Text(common, "enableAppHealthCheck")) == "true") flags.Add("--enable-app-health-check");

        return new DaprYamlApp(
            Text(app, "appID")!,
            Path.GetFullPath(Path.Combine(Checkout.Root, Text(app, "appDirPath")!)),
            [.. List(app, "command")],
            environment,
            Port(Text(app, "appPort")!),
            Port(Text(app, "daprHTTPPort")!),
            Port(Text(app, "daprGRPCPort")!),
            Port(Text(app, "metricsPort")!),
            flags);

        void Flag(string key, string flag)
        {
            if ((Text(app, key) ?? Text(common, key)) is { Length: > 0 } value) flags.AddRange([flag, value]);
        }
    }

    [GeneratedRegex(@"(?<=://[\w.\-]+:)\d+|^\d{4,5}$", RegexOptions.None, 1000)]
    private static partial Regex PortInValue();
}
