namespace Serverless.EndToEndTests.Parts;

/// <summary>One app of <c>dapr.yaml</c>, with the ports it has in this run.</summary>
internal sealed record DaprYamlApp(
    string AppId, string Folder, IReadOnlyList<string> Command, IReadOnlyDictionary<string, string> Environment, int AppPort, int HttpPort, int GrpcPort, int MetricsPort, IReadOnlyList<string> Flags);
