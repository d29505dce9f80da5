using System.Reflection;

namespace Serverless.Hosting.Telemetry;

/// <summary>What this process is: in its first line and in its metrics' <c>service.name</c>.</summary>
/// <param name="Name">Of a closed set: <c>serverless</c> where all parts run in one process, else with the part: <c>serverless-gateway</c>.</param>
public sealed record ProcessIdentity(string Name)
{
    /// <summary>The release, without the commit it was built from.</summary>
    public static string Version { get; } =
        typeof(ProcessIdentity).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0.0.0";
}
