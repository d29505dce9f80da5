using Microsoft.Extensions.DependencyInjection;
using Serverless.Catalog.Engines;

namespace Serverless;

/// <summary>The engines that a process registers, as far as they are known without a load.</summary>
internal static class TestEngines
{
    public static EngineTable Table { get; } = EngineServices.KnownEngines();
}
