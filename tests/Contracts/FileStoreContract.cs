using System.Security.Cryptography;
using Serverless.Files;
using Shouldly;

namespace Serverless.Tests.Contracts;

/// <summary>What every adapter of <see cref="IFileStore"/> does. A subclass gives the adapter; each test takes a fresh room, so that adapters may share a store.</summary>
public abstract class FileStoreContract
{
    /// <summary>More than any adapter holds at once.</summary>
    private const int Long = 20 * 1024 * 1024;

    private readonly string _room = "t-" + string.Concat(RandomNumberGenerator.GetItems<char>("abcdefghijklmnopqrstuvwxyz", 12));

    protected static CancellationToken Token => TestContext.Current.CancellationToken;

    protected abstract ValueTask<IFileStore> CreateAsync();

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(100_000)]
    [InlineData(8 * 1024 * 1024)] // a part of an upload to S3, exactly
    [InlineData(Long)]
    public async Task What_is_put_is_read_as_it_was(int length)
    {
        var store = await CreateAsync();
        var bytes = RandomNumberGenerator.GetBytes(length);

        var stored = await store.PutAsync(Key("a"), new Trickle(bytes), length, Token);

        stored.ShouldNotBeNull().Length.ShouldBe(length);
        stored.Sha256.ShouldBe(Convert.ToHexStringLower(SHA256.HashData(bytes)));
        (await ReadAsync(store, "a", 0, null)).ShouldNotBeNull().AsSpan().SequenceEqual(bytes).ShouldBeTrue();
    }

    [Fact]
    public async Task Any_part_is_read_alone_and_beyond_the_end_is_nothing()
    {
        var store = await CreateAsync();
        var bytes = RandomNumberGenerator.GetBytes(1000);
        await store.PutAsync(Key("a"), new MemoryStream(bytes), 1000, Token);

        foreach (var (offset, length) in new (long, long?)[] { (0, 1), (0, 1000), (0, 5000), (10, 20), (999, 1), (990, null), (990, 500), (1000, null), (1000, 1), (5000, 10), (5000, null) })
        {
            var expected = bytes.Skip((int)offset).Take((int)(length ?? int.MaxValue)).ToArray();
            (await ReadAsync(store, "a", offset, length)).ShouldBe(expected, $"{offset} {length}");
        }
    }

    [Fact]
    public async Task Nothing_of_an_empty_one_is_read_in_parts_either()
    {
        var store = await CreateAsync();
        await store.PutAsync(Key("a"), Stream.Null, 10, Token);

        (await ReadAsync(store, "a", 0, 10)).ShouldBe([]);
        (await ReadAsync(store, "a", 3, null)).ShouldBe([]);
    }

    [Theory]
    [InlineData(10)]
    [InlineData(Long - 1)]
    public async Task What_is_too_long_is_not_kept_and_not_read_to_its_end(int maxBytes)
    {
        var store = await CreateAsync();
        var endless = new Trickle(RandomNumberGenerator.GetBytes(Long));
        await store.PutAsync(Key("before"), new MemoryStream([1]), 1, Token);

        (await store.PutAsync(Key("a"), endless, maxBytes, Token)).ShouldBeNull();
        (await store.PutAsync(Key("before"), new Trickle(new byte[Long]), maxBytes, Token)).ShouldBeNull();

        (await store.OpenAsync(Key("a"), 0, null, Token)).ShouldBeNull();
        (await ReadAsync(store, "before", 0, null)).ShouldBe([1]);
        (await store.ListAsync(_room, null, 10, Token)).Select(entry => entry.Key.Name).ShouldBe(["before"]);
        endless.Position.ShouldBeLessThan(maxBytes + (16 * 1024 * 1024));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(100_000)]
    [InlineData(Long)]
    public async Task What_breaks_off_is_not_kept_and_comes_through_as_it_is(int after)
    {
        var store = await CreateAsync();
        var failure = new IOException("The client is gone.");

        var thrown = await Should.ThrowAsync<IOException>(async () => await store.PutAsync(Key("a"), new Trickle(new byte[after]) { EndsIn = failure }, long.MaxValue / 2, Token));

        thrown.ShouldBeSameAs(failure);
        (await store.OpenAsync(Key("a"), 0, null, Token)).ShouldBeNull();
        (await store.ListAsync(_room, null, 10, Token)).ShouldBeEmpty();
        (await store.DiscardUnfinishedAsync(DateTimeOffset.MaxValue, Token)).ShouldBe(0);
    }

    [Fact]
    public async Task A_put_that_is_given_up_is_not_kept()
    {
        var store = await CreateAsync();
        using var giveUp = new CancellationTokenSource();

        await Should.ThrowAsync<OperationCanceledException>(async () => await store.PutAsync(Key("a"), new Trickle(new byte[Long]) { OnRead = giveUp.Cancel }, Long, giveUp.Token));

        (await store.OpenAsync(Key("a"), 0, null, Token)).ShouldBeNull();
    }

    [Fact]
    public async Task A_second_put_replaces_and_who_reads_reads_on()
    {
        var store = await CreateAsync();
        await store.PutAsync(Key("a"), new MemoryStream([1, 2, 3]), 10, Token);
        await using var open = (await store.OpenAsync(Key("a"), 0, null, Token)).ShouldNotBeNull();

        await store.PutAsync(Key("a"), new MemoryStream([4, 5]), 10, Token);

        (await DrainAsync(open)).ShouldBe([1, 2, 3]);
        (await ReadAsync(store, "a", 0, null)).ShouldBe([4, 5]);
        (await store.ListAsync(_room, null, 10, Token)).ShouldHaveSingleItem().Length.ShouldBe(2);
    }

    [Fact]
    public async Task What_never_was_is_not_there_and_can_be_deleted_again_and_again()
    {
        var store = await CreateAsync();
        (await store.OpenAsync(Key("a"), 0, null, Token)).ShouldBeNull();
        await store.DeleteAsync(Key("a"), Token);
        await store.PutAsync(Key("a"), new MemoryStream([1]), 10, Token);

        await store.DeleteAsync(Key("a"), Token);
        await store.DeleteAsync(Key("a"), Token);

        (await store.OpenAsync(Key("a"), 5, 10, Token)).ShouldBeNull();
        (await store.ListAsync(_room, null, 10, Token)).ShouldBeEmpty();
    }

    [Fact]
    public async Task A_list_goes_on_where_it_ended_also_after_what_was_deleted_and_knows_its_room_alone()
    {
        var store = await CreateAsync();
        string[] names = [.. Enumerable.Range(0, 25).Select(index => $"Name~{index}.x_{index * 7919 % 101}")];
        foreach (var name in names) await store.PutAsync(Key(name), new MemoryStream([1, 2]), 10, Token);
        await store.PutAsync(new FileKey(_room + "-other", "a"), new MemoryStream([1]), 10, Token);

        var seen = new List<string>();
        while (await store.ListAsync(_room, seen.LastOrDefault(), 4, Token) is { Count: > 0 } page)
        {
            page.Count.ShouldBeLessThanOrEqualTo(4);
            page.ShouldAllBe(entry => entry.Length == 2 && entry.Key.Room == _room && entry.WrittenAt > DateTimeOffset.UnixEpoch);
            seen.AddRange(page.Select(entry => entry.Key.Name));
            await store.DeleteAsync(page[^1].Key, Token);
        }

        seen.ShouldBe(names, ignoreOrder: true);
    }

    [Fact]
    public async Task Many_put_and_read_at_once()
    {
        var store = await CreateAsync();
        var all = Enumerable.Range(0, 16).Select(index => (Name: $"n{index}", Bytes: RandomNumberGenerator.GetBytes(50_000 + index))).ToArray();

        await Task.WhenAll(all.Select(async one =>
        {
            (await store.PutAsync(Key(one.Name), new Trickle(one.Bytes), 100_000, Token)).ShouldNotBeNull();
            (await ReadAsync(store, one.Name, 1, null)).ShouldBe(one.Bytes[1..]);
        }));

        (await store.ListAsync(_room, null, 100, Token)).Count.ShouldBe(16);
    }

    protected FileKey Key(string name) => new(_room, name);

    private async Task<byte[]?> ReadAsync(IFileStore store, string name, long offset, long? length)
    {
        await using var content = await store.OpenAsync(Key(name), offset, length, Token);
        return content is null ? null : await DrainAsync(content);
    }

    private static async Task<byte[]> DrainAsync(Stream content)
    {
        using var all = new MemoryStream();
        await content.CopyToAsync(all, Token);
        return all.ToArray();
    }
}

/// <summary>Content that comes in pieces of odd sizes, as from a connection.</summary>
internal sealed class Trickle(byte[] bytes) : Stream
{
    private int _position;

    /// <summary>Thrown at the end.</summary>
    public Exception? EndsIn { get; init; }

    /// <summary>Runs at each read.</summary>
    public Action? OnRead { get; init; }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => _position;
        set => throw new NotSupportedException();
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        OnRead?.Invoke();
        cancellationToken.ThrowIfCancellationRequested();
        if (_position == bytes.Length && EndsIn is not null) throw EndsIn;

        var length = Math.Min(Math.Min(buffer.Length, 1 + (_position * 31 % 70_001)), bytes.Length - _position);
        bytes.AsMemory(_position, length).CopyTo(buffer);
        _position += length;
        return new(length);
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
