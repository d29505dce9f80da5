using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>The table of doors in docs/architecture.md against the routes that a gateway maps.</summary>
public sealed class DoorsPageTests
{
    [Fact]
    public async Task Every_route_is_behind_the_door_that_the_page_names()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();

        var mapped = gateway.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
            .Select(route => (Path: "/" + route.RoutePattern.RawText!.TrimStart('/'), Door: DoorOf(route))).Distinct().ToArray();
        var unversioned = mapped.Where(route => mapped.Contains(("/v1" + route.Path, route.Door))).ToArray(); // OpenAI's, without /v1 too

        mapped.Except(unversioned).Where(route => !route.Path.Contains("externalscaler", StringComparison.Ordinal) && !route.Path.Contains("grpc", StringComparison.Ordinal))
            .Select(route => $"{route.Door} {route.Path}").Order(StringComparer.Ordinal)
            .ShouldBe(OnThePage().Order(StringComparer.Ordinal));
    }

    private static string DoorOf(RouteEndpoint route)
    {
        if (route.Metadata.GetMetadata<IAllowAnonymous>() is not null) return "open";
        return route.Metadata.GetOrderedMetadata<IAuthorizeData>().Select(data => data.Policy).LastOrDefault() ?? "key";
    }

    private static IEnumerable<string> OnThePage()
    {
        var lines = File.ReadAllLines(Path.Combine(Root(), "docs", "architecture.md"));
        return lines.Skip(Array.IndexOf(lines, "<!-- table: doors -->") + 1).SkipWhile(line => !line.StartsWith('|')).TakeWhile(line => line.StartsWith('|')).Skip(2)
            .Select(line => line.Split('|')).SelectMany(cells => cells[2].Split('`').Where((_, index) => index % 2 == 1).Select(path => $"{cells[1].Trim()} {path}"));
    }

    private static string Root()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder!.FullName, "Serverless.sln"))) folder = folder.Parent;
        return folder.FullName;
    }
}
