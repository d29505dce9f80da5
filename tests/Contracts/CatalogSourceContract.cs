using Serverless.Catalog;
using Shouldly;

namespace Serverless.Tests.Contracts;

/// <summary>What every adapter of <see cref="ICatalogSource"/> does: it follows changes, and a bad one changes nothing.</summary>
public abstract class CatalogSourceContract
{
    protected static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>A source of these manifests. The subclass disposes of it.</summary>
    protected abstract ValueTask<ICatalogSource> CreateAsync(string manifests);

    /// <summary>Puts others in their place; they may be faulty.</summary>
    protected abstract ValueTask ChangeAsync(string manifests);

    [Fact]
    public async Task The_manifests_are_the_catalogue()
    {
        var source = await CreateAsync(ModelOf("one") + ModelOf("two"));

        source.Current.Models.Select(model => model.Name.Value).ShouldBe(["one", "two"]);
        await using var watch = source.WatchAsync(Token).Enumerate(Token);
        (await watch.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
        watch.Current.ShouldBeSameAs(source.Current);
    }

    [Fact]
    public async Task A_change_is_followed()
    {
        var source = await CreateAsync(ModelOf("one"));
        await using var watch = source.WatchAsync(Token).Enumerate(Token);
        await watch.MoveNextAsync().WithinLimitAsync();
        var next = watch.MoveNextAsync().AsTask();

        await ChangeAsync(ModelOf("two"));

        (await next.WithinLimitAsync()).ShouldBeTrue();
        watch.Current.Models.Single().Name.Value.ShouldBe("two");
        source.Current.ShouldBeSameAs(watch.Current);
    }

    [Fact]
    public async Task A_faulty_change_keeps_the_last_good_catalogue_until_a_good_one_comes()
    {
        var source = await CreateAsync(ModelOf("one"));
        var good = source.Current;
        await using var watch = source.WatchAsync(Token).Enumerate(Token);
        await watch.MoveNextAsync().WithinLimitAsync();
        var next = watch.MoveNextAsync().AsTask();

        foreach (var faulty in new[] { "kind: [", ModelOf("one") + ModelOf("one") }) await ChangeAsync(faulty);
        source.Current.ShouldBeSameAs(good);
        await ChangeAsync(ModelOf("three"));

        (await next.WithinLimitAsync()).ShouldBeTrue();
        watch.Current.Models.Single().Name.Value.ShouldBe("three");
    }

    protected static string ModelOf(string name) => $"""
        ---
        apiVersion: llmaz.io/v1alpha1
        kind: OpenModel
        metadata:
          name: {name}
        spec:
          familyName: test
          source:
            uri: simulated://{name}
          inferenceConfig:
            flavors:
              - name: cpu
        ---
        apiVersion: inference.llmaz.io/v1alpha1
        kind: Playground
        metadata:
          name: {name}
        spec:
          replicas: 1
          modelClaim:
            modelName: {name}
          backendRuntimeConfig:
            backendName: simulated

        """;
}
