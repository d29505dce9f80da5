using Microsoft.AspNetCore.Builder;

namespace Serverless.Hosting.Configuration;

/// <summary>The one way in which every process of the platform begins.</summary>
public static class ProcessBuilder
{
    /// <summary>Settings of <c>appsettings.json</c> are read once: watching for changes takes an inotify watch for every folder below the working folder, some forty thousand in a home folder.</summary>
    private const string NoReload = "--hostBuilder:reloadConfigOnChange=false";

    /// <summary>Configuration from <c>appsettings.json</c>, the environment and <paramref name="args"/>.</summary>
    public static WebApplicationBuilder Create(string[] args) => WebApplication.CreateSlimBuilder([NoReload, .. args]);
}
