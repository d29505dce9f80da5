using Serverless.Documents;
using Serverless.Hosting.Sqlite;
using Serverless.Requests;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Puts the state of the embedded shape into a host.</summary>
public static class SqliteServices
{
    /// <summary>Documents, request queue, request log and dead letters in one file of a folder, which the host opens when it starts and closes when it stops. The host brings <see cref="QueueLimits"/>.</summary>
    public static IServiceCollection AddSqliteState(this IServiceCollection services, Func<IServiceProvider, string> folder) => services
        .AddSingleton(provider => SqliteFile.Open(folder(provider)))
        .AddSingleton<IDocumentStore, SqliteDocumentStore>()
        .AddSingleton<IRequestQueue, SqliteRequestQueue>()
        .AddSingleton<IRequestLog, SqliteRequestLog>()
        .AddSingleton<IDeadLetters, SqliteDeadLetters>()
        .AddSingleton<Redrive>();
}
